/** The second view: the study is sent, prepared and answered; it can be cancelled. */

import { type Api, ApiError, type Study } from './api'
import { h } from './dom'
import type { Asked } from './start'
import { upload } from './upload'
import { megabytes, plural, thousands } from './words'

const ASK_AGAIN_MS = 400
const OVER = ['done', 'failed', 'cancelled']

export type Outcome = { id: string; study: Study } | { complaint: string } | null

/** A view that sends a study; `over` gets the answers, a complaint, or null of a cancelled one. */
export function sendingView(api: Api, asked: Asked, over: (outcome: Outcome) => void): HTMLElement {
  const stop = new AbortController()
  const heading = h('h1', { tabindex: '-1' }, 'Sending the study')
  const words = h('p', { role: 'status', id: 'progress-words' }, '')
  const bar = h('progress', { max: '1', value: '0', 'aria-label': 'Progress' })
  const cancel = h('button', { type: 'button', onclick: () => { cancel.disabled = true; stop.abort() } }, 'Cancel')
  const say = (text: string, share: number | null) => {
    words.textContent = text
    if (share === null) bar.removeAttribute('value')
    else bar.value = share
  }
  void run(api, asked, stop.signal, heading, say).then(over)
  queueMicrotask(() => heading.focus())
  return h('div', { class: 'sending' }, heading, h('p', { class: 'hint' }, `${asked.model.question} (${asked.model.name})`), bar, words, cancel)
}

async function run(
  api: Api, asked: Asked, signal: AbortSignal, heading: HTMLElement, say: (text: string, share: number | null) => void
): Promise<Outcome> {
  let id = ''
  try {
    const body = { model: asked.model.name, reading: asked.reading, reader: asked.reader }
    id = (await api.json<{ study: string }>('POST', '/api/studies', body)).study
    const bytes = asked.files.reduce((sum, { file }) => sum + file.size, 0)
    await upload(api, id, asked.files, signal, (sent) => say(
      `${thousands(sent.files)} of ${plural(asked.files.length, 'file')} sent, ${megabytes(sent.bytes)} of ${megabytes(bytes)} MB`,
      bytes ? sent.bytes / bytes : null))
    await api.json('POST', `/api/studies/${id}/run`)
    heading.textContent = 'The model reads the study'
    for (;;) {
      signal.throwIfAborted()
      const study = await api.json<Study>('GET', `/api/studies/${id}`)
      say(study.sentence, study.of > 1 ? study.done / study.of : null)
      if (OVER.includes(study.state)) {
        if (study.state === 'done') return { id, study }
        await api.json('DELETE', `/api/studies/${id}`).catch(() => undefined)
        return study.state === 'failed' ? { complaint: study.sentence } : null
      }
      await new Promise((done) => setTimeout(done, ASK_AGAIN_MS))
    }
  } catch (error) {
    if (id) await api.json('DELETE', `/api/studies/${id}`).catch(() => undefined)
    if (signal.aborted) return null
    return { complaint: error instanceof ApiError ? error.message : `The study could not be sent (${String(error)}). Choose it again.` }
  }
}
