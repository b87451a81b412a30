/** The choice of a model: what each is asked, of what, and what its audit found. */

import type { Api, Model } from './api'
import { dialog, h } from './dom'
import { listed, plural, readable, sentence } from './words'

const VERDICTS: Record<string, [label: string, look: string]> = {
  passed: ['Audit: passed', 'good'],
  attention: ['Audit: needs attention', 'attention'],
  'certain checks only': ['Audit: certain checks only', 'plain'],
  leak: ['Audit: leak', 'bad'],
  'not audited': ['Not audited', 'plain'],
}

/** The audit's verdict in a word, with a colour that is not its only sign. */
export function auditBadge(model: Model): HTMLElement {
  const [label, look] = VERDICTS[model.audit.verdict] ?? [`Audit: ${model.audit.verdict}`, 'plain']
  return h('span', { class: `badge ${look}` }, label)
}

/** What a model answers, in one line. */
export function aboutModel(model: Model): string {
  const kind = model.kind === 'segmentation' ? 'Segmentation' : 'Classification'
  const modality = model.modality || 'pictures'
  const of = model.sequences.length ? `${modality} (${listed(model.sequences)})` : modality
  const members = model.members > 1 ? ` · ${plural(model.members, 'member')}` : ''
  return `${kind} · ${of}${members}`
}

/** The classes that a model can answer; the background of a segmentation is none. */
export const classesOf = (model: Model): string[] =>
  model.kind === 'segmentation' ? model.classes.slice(1) : model.classes

/** Opens the model card: a page of its own that may run nothing. */
export function showCard(api: Api, model: Model): void {
  const address = cardAddress(api, model)
  if (!address) return
  dialog(`Card of ${model.name}`, 'card',
    h('p', {}, h('a', { href: address, target: '_blank', rel: 'noopener' }, 'Open the card in a new tab')),
    h('iframe', { src: address, sandbox: '', title: `Model card of ${model.name}` }))
}

const cardAddress = (api: Api, model: Model): string | null =>
  model.card && `${model.card}?session=${encodeURIComponent(api.session)}`

/** Radio buttons, one a model; `chosen` hears of the first at once. */
export function modelChoice(api: Api, models: Model[], chosen: (model: Model) => void): HTMLElement {
  const choices = models.map((model, number) => {
    const radio = h('input', {
      type: 'radio', name: 'model', value: model.name, id: `model-${number}`, 'aria-describedby': `model-${number}-about`,
      checked: number === 0, onchange: () => chosen(model),
    })
    return h('div', { class: 'model' }, radio,
      h('label', { for: `model-${number}` }, model.question, h('span', { class: 'name' }, `${model.name}, version ${model.version}`)),
      h('div', { class: 'model-about', id: `model-${number}-about` },
        h('p', {}, aboutModel(model)),
        h('p', { class: 'classes' }, `${model.kind === 'segmentation' ? 'Finds' : 'Answers'}: ${listed(classesOf(model).map(readable))}`),
        h('p', { class: 'audit' }, auditBadge(model), ' ', sentence(model.audit.sentence))),
      model.card && h('button', { type: 'button', class: 'quiet', onclick: () => showCard(api, model), 'aria-label': `Model card of ${model.name}` }, 'Model card'))
  })
  if (models.length) chosen(models[0])
  return h('fieldset', { class: 'models' }, h('legend', {}, 'Choose a model'), ...choices)
}
