/** The first view: choose a model, say how to read, drop a study. */

import type { About, Api, Model } from './api'
import { h } from './dom'
import { type StudyFile, filesOfDrop, filesOfInput } from './dropped'
import { modelChoice } from './model_choice'
import { megabytes, thousands } from './words'

const DROP = 'Drop the study here'

export interface Asked { model: Model; reading: boolean; reader: string; files: StudyFile[] }

/** The view; `ask` gets what was dropped or chosen. `complaint` is said above the drop area. */
export function startView(
  api: Api, about: About, models: Model[], complaint: string, ask: (asked: Asked) => void
): HTMLElement {
  let model: Model | null = null
  const inputs = h('p', { id: 'inputs' })
  const problem = h('p', { class: 'box bad', role: 'alert', id: 'problem', hidden: !complaint }, complaint)
  const say = (text: string) => {
    problem.textContent = text
    problem.hidden = !text
    if (text) problem.scrollIntoView({ block: 'nearest' })
  }
  const readerName = h('input', { type: 'text', id: 'reader', maxlength: '60', autocomplete: 'off', spellcheck: 'false' })
  const nameField = h('div', { class: 'field', hidden: true }, h('label', { for: 'reader' }, 'Your name as a reader'), readerName,
    h('p', { class: 'hint' }, 'Any word. It stands in the file of your labels and nowhere else.'))
  const readingBox = h('input', {
    type: 'checkbox', id: 'reading', onchange: () => {
      nameField.hidden = !readingBox.checked
      if (readingBox.checked) readerName.focus()
    },
  })
  const readingPart = h('div', { class: 'reading-choice' },
    h('div', { class: 'check' }, readingBox, h('label', { for: 'reading' }, 'Reading mode: I label each case before I see the answer')),
    nameField)

  const take = (files: StudyFile[]) => {
    const bytes = files.reduce((sum, { file }) => sum + file.size, 0)
    const { limits } = about
    const largest = files.find(({ file }) => file.size > limits.file_mb * 1e6)
    if (!model) return
    if (!files.length) return say('There is no file in what you dropped. Drop images, a folder that holds them, or a zip of it.')
    if (files.length > limits.files) return say(`A study may have ${thousands(limits.files)} files. Received: ${thousands(files.length)}. Drop fewer, or a part at a time.`)
    if (largest) return say(`A file may have ${thousands(limits.file_mb)} MB. Received: ${largest.path} with ${megabytes(largest.file.size)} MB. Leave it out.`)
    if (bytes > limits.study_mb * 1e6) return say(`A study may have ${thousands(limits.study_mb)} MB. Received: ${megabytes(bytes)} MB. Drop a part at a time.`)
    const reading = readingBox.checked && model.kind === 'classification'
    const reader = readerName.value.trim()
    if (reading && !reader) {
      say('Reading mode needs a name for the reader. Received: none. Give any word, then drop the study again.')
      readerName.focus()
      return
    }
    say('')
    ask({ model, reading, reader, files })
  }
  const chooser = (id: string, words: string, folder: boolean) => {
    const input = h('input', { type: 'file', id, class: 'unseen', multiple: true, tabindex: '-1', 'aria-hidden': 'true', onchange: () => {
      take(filesOfInput(input))
      input.value = ''
    } })
    if (folder) input.webkitdirectory = true
    return [h('button', { type: 'button', onclick: () => input.click() }, words), input]
  }
  const dropWords = h('p', { class: 'drop-words', role: 'status' }, DROP)
  const drop = h('div', { class: 'drop', id: 'drop' }, dropWords, inputs,
    h('div', { class: 'buttons' }, ...chooser('files', 'Choose files', false), ...chooser('folder', 'Choose a folder', true)),
    h('p', { class: 'hint' }, 'DICOM, NIfTI, NRRD, MetaImage, pictures, or a zip of them. It stays on this server until you close the page.'))
  const looking = (on: boolean) => { dropWords.textContent = on ? 'Looking for the files in it …' : DROP }
  listenForDrops(drop, looking, take, () => say('What you dropped cannot be read. It may have been moved, or you may not open it. Choose it again.'))
  const choice = modelChoice(api, models, (chosen) => {
    model = chosen
    inputs.textContent = chosen.inputs
    readingPart.hidden = chosen.kind !== 'classification'
  })
  if (!models.length) say('The server has no model to ask. Give it a folder with exported models: python -m mri_tf.serve --models DIR --page.')
  return h('div', { class: 'start' },
    h('h1', {}, 'Ask a model about a study'),
    choice, h('section', { 'aria-labelledby': 'study-heading' }, h('h2', { id: 'study-heading' }, 'Give it a study'), readingPart, problem, drop))
}

function listenForDrops(
  area: HTMLElement, looking: (on: boolean) => void, take: (files: StudyFile[]) => void, failed: () => void
): void {
  let inside = 0
  const mark = (by: number) => {
    inside = Math.max(0, inside + by)
    area.classList.toggle('over', inside > 0)
  }
  area.addEventListener('dragenter', (event) => { event.preventDefault(); mark(1) })
  area.addEventListener('dragleave', () => mark(-1))
  area.addEventListener('dragover', (event) => event.preventDefault())
  area.addEventListener('drop', (event) => {
    event.preventDefault()
    mark(-inside)
    if (!event.dataTransfer) return
    looking(true)
    void filesOfDrop(event.dataTransfer).finally(() => looking(false)).then(take, failed)
  })
}
