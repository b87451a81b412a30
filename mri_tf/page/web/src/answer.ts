/** What the model says of a case: decision, probabilities, prediction set, warnings, volumes. */

import type { Api, Case, Model, Row } from './api'
import { h } from './dom'
import { aboutModel, auditBadge, showCard } from './model_choice'
import { labelColour } from './viewer_colours'
import { listed, millilitres, probability, readable, sentence, thousands } from './words'

/** The answer of one row of a case. */
export function answerParts(row: Row, noSets: string, is2d: boolean): HTMLElement[] {
  return row.probabilities ? classAnswer(row, noSets) : [...volumes(row, is2d), ...warnings(row)]
}

function classAnswer(row: Row, noSets: string): HTMLElement[] {
  const probabilities = Object.entries(row.probabilities ?? {})
  const decision = row.decision ?? ''
  const parts = [h('p', { class: 'decision', id: 'decision' }, h('span', { class: 'label' }, 'Decision'), ' ', readable(decision))]
  if (row.most_probable && row.most_probable !== decision) {
    parts.push(h('p', { class: 'box note' }, `The largest probability is that of ${readable(row.most_probable)}. The decision is ${readable(decision)} because it is taken at the model's operating point.`))
  }
  const inSet = new Set(row.prediction_set ?? [])
  const apart = row.disagreement
  const head = h('tr', {}, h('th', { scope: 'col' }, 'Class'), h('th', { scope: 'col', class: 'number' }, 'Probability'),
    apart && h('th', { scope: 'col', class: 'number' }, 'Members’ SD'))
  const rows = probabilities.map(([name, share]) => {
    const fill = h('span', { class: 'bar-fill' })
    fill.style.width = `${Math.min(Math.max(share, 0), 1) * 100}%`
    return h('tr', { class: name === decision ? 'decided' : null },
      h('th', { scope: 'row' }, readable(name), inSet.has(name) && h('span', { class: 'in-set', title: 'cannot be ruled out' }, ' in set'), h('span', { class: 'bar', 'aria-hidden': 'true' }, fill)),
      h('td', { class: 'number' }, probability(share)),
      apart && h('td', { class: 'number' }, apart[name] === undefined ? '–' : probability(apart[name])))
  })
  parts.push(h('table', { class: 'probabilities' }, h('caption', { class: 'unseen-text' }, 'Probability of each class'), h('thead', {}, head), h('tbody', {}, ...rows)))
  parts.push(h('p', { id: 'prediction-set' }, h('strong', {}, 'Prediction set: '), setSentence(row, noSets)))
  return [...parts, ...warnings(row)]
}

function setSentence(row: Row, noSets: string): string {
  const set = row.prediction_set
  if (!set) return noSets ? `none: ${noSets}.` : 'this model has none.'
  if (!set.length) return 'empty. No class is usual for such an image.'
  if (set.length === Object.keys(row.probabilities ?? {}).length) return 'all classes. None can be ruled out.'
  return `${listed(set.map(readable))} cannot be ruled out.`
}

function warnings(row: Row): HTMLElement[] {
  const parts: HTMLElement[] = []
  const reasons = row.reasons.length ? h('ul', {}, ...row.reasons.map((reason) => h('li', {}, reason))) : null
  if (row.out_of_distribution) {
    parts.push(h('div', { class: 'box attention', id: 'unlike' }, h('p', {}, h('strong', {}, 'Unlike the training data.'), reasons ? ' The model was not tested on such images:' : ' The model was not tested on such images.'), reasons))
  } else if (row.out_of_distribution === null) {
    parts.push(h('div', { class: 'box note', id: 'unlike' }, h('p', {}, `It cannot be told whether this image is like the training data${reasons ? ':' : '.'}`), reasons))
  } else {
    parts.push(h('p', { class: 'good-line', id: 'unlike' }, 'In intensities and size like the training data.'))
  }
  if (row.feature_out_of_distribution) {
    parts.push(h('p', { class: 'box attention' }, 'What the network’s last layer reads is far from all training data.'))
  }
  return parts
}

function volumes(row: Row, is2d: boolean): HTMLElement[] {
  const names = Object.keys(row.voxels ?? {})
  const ml = row.volume_ml
  const lines = names.map((name, label) => ({ name, label })).slice(1).map(({ name, label }) => {
    const swatch = h('span', { class: 'swatch', 'aria-hidden': 'true' })
    swatch.style.backgroundColor = labelColour(label)
    return h('tr', {}, h('th', { scope: 'row' }, swatch, readable(name)),
      ml && h('td', { class: 'number' }, millilitres(ml[name])), h('td', { class: 'number' }, thousands(row.voxels?.[name] ?? 0)))
  })
  const table = h('table', { class: 'volumes', id: 'volumes' }, h('caption', {}, is2d ? 'Area of what was found' : 'Volume of what was found'),
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Structure'), ml && h('th', { scope: 'col', class: 'number' }, 'ml'), h('th', { scope: 'col', class: 'number' }, is2d ? 'Pixels' : 'Voxels'))),
    h('tbody', {}, ...lines))
  return ml || is2d ? [table] : [table, h('p', { class: 'hint' }, 'In no millilitres, as the files do not say how large a voxel is.')]
}

const MOST_ROWS = 200

/** One line a slice, to choose from, of a case with several answers; of very many those around the current. */
export function sliceTable(one: Case, current: number, choose: (row: number) => void): HTMLElement {
  const first = Math.max(0, Math.min(current - MOST_ROWS / 2, one.rows.length - MOST_ROWS))
  const some = one.rows.slice(first, first + MOST_ROWS)
  const lines = some.map((row, at) => {
    const number = first + at
    const share = row.probabilities?.[row.decision ?? '']
    return h('tr', { class: number === current ? 'decided' : null },
      h('th', { scope: 'row' }, h('button', { type: 'button', class: 'link', 'aria-pressed': String(number === current), onclick: () => choose(number) }, `Slice ${row.slice ?? number + 1}`)),
      h('td', {}, readable(row.decision ?? '')), h('td', { class: 'number' }, share === undefined ? '' : probability(share)))
  })
  return h('details', { class: 'slices', open: true }, h('summary', {}, some.length < one.rows.length ? `Slices ${first + 1} to ${first + some.length} of ${one.rows.length}` : `All ${one.rows.length} slices`),
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Answers of all slices' },
      h('table', {}, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Slice'), h('th', { scope: 'col' }, 'Decision'), h('th', { scope: 'col', class: 'number' }, 'Probability'))), h('tbody', {}, ...lines))))
}

/** What a user may look up: the header where it is shown, and the model. */
export function backgroundParts(api: Api, model: Model, one: Case): HTMLElement[] {
  const parts: HTMLElement[] = []
  if (one.header) {
    const lines = Object.entries(one.header).flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, String(value))])
    parts.push(h('details', {}, h('summary', {}, 'Header of the file'), h('dl', {}, ...lines)))
  }
  parts.push(h('section', { class: 'about-model', 'aria-labelledby': 'about-model' }, h('h3', { id: 'about-model' }, 'The model'),
    h('p', {}, `${model.question} ${model.name}, version ${model.version}.`), h('p', { class: 'hint' }, aboutModel(model)),
    h('p', {}, auditBadge(model), ' ', sentence(model.audit.sentence)),
    model.card ? h('button', { type: 'button', class: 'quiet', onclick: () => showCard(api, model) }, 'Model card') : h('p', { class: 'hint' }, 'This model has no card.')))
  return parts
}
