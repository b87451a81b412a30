/** What a reading gives in the end: a CSV file, and agreement with the model and with other readers. */

import type { Agreeing, Agreement, Api, Estimate } from './api'
import { dialog, fill, h, saveFile } from './dom'
import { plural, signed } from './words'

interface Reader { name: string; csv: string }

/** Saves the labels of this reading as a file. */
export async function downloadReadings(api: Api, study: string, reader: string): Promise<void> {
  const data = await api.bytes(`/api/readings.csv?study=${study}`)
  saveFile(data, `readings_${reader.replace(/[^\w-]+/g, '_') || 'reader'}.csv`, 'text/csv')
}

/** A dialog that takes other readers' files and shows all agreement. */
export function showAgreement(api: Api, study: string, labelled: number): void {
  const readers: Reader[] = []
  const names = h('ul', { class: 'readers' })
  const result = h('div', { 'aria-live': 'polite' })
  const problem = h('p', { class: 'box bad', role: 'alert', hidden: true })
  let turn = 0 // of what was asked: an earlier answer may arrive later, and counts no more
  const compute = async () => {
    const own = ++turn
    problem.hidden = true
    try {
      const found = await api.json<Agreement>('POST', `/api/agreement?study=${study}`, { readers })
      if (own === turn) fill(result, ...tables(found))
    } catch (error) {
      if (own !== turn) return
      fill(result)
      problem.textContent = (error as Error).message
      problem.hidden = false
    }
  }
  const input = h('input', { type: 'file', id: 'reader-files', accept: '.csv,text/csv', multiple: true, onchange: async () => {
    for (const file of input.files ?? []) readers.push({ name: file.name.replace(/^readings_|\.csv$/gi, ''), csv: await file.text() })
    input.value = ''
    fill(names, ...readers.map(({ name }, at) => h('li', {}, name, ' ', h('button', {
      type: 'button', class: 'link', 'aria-label': `Remove ${name}`, onclick: (event: Event) => {
        readers.splice(at, 1)
        ;(event.target as HTMLElement).closest('li')?.remove()
        void compute()
      },
    }, 'remove'))))
    await compute()
  } })
  dialog('Agreement', 'agreement', h('p', {}, `${plural(labelled, 'case')} labelled. κ is agreement beyond chance: 0 is chance, 1 is agreement on every case.`),
    h('div', { class: 'field' }, h('label', { for: 'reader-files' }, 'Labels of other readers (CSV files of this page)'), input), names, problem, result)
  void compute()
}

function tables(found: Agreement): HTMLElement[] {
  const corrected = found.after_correction
  const changed = corrected.agreement.value !== found.with_model.agreement.value
  const lines: [words: string, one: Agreeing][] = [
    ['You and the model', found.with_model],
    ...(changed ? [['You after correction, and the model', corrected] as [string, Agreeing]] : []),
    ...found.readers_with_model.slice(1).map((one): [string, Agreeing] => [`${one.name} and the model`, one]),
    ...found.between.map((one): [string, Agreeing] => [`${one.a} and ${one.b}`, one]),
    ...(found.among ? [['All readers', found.among] as [string, Agreeing]] : []),
  ]
  const rows = lines.map(([words, { n, agreement, kappa }]) => h('tr', {},
    h('th', { scope: 'row' }, words), h('td', { class: 'number' }, String(n)),
    h('td', { class: 'number' }, agreement.value === null ? '–' : `${(agreement.value * 100).toFixed(0)} %`),
    h('td', { class: 'number' }, interval(kappa)), h('td', { class: 'scale', 'aria-hidden': 'true' }, scale(kappa))))
  const head = ['Compared', 'Cases', 'Same label', 'κ (95 % interval)', 'κ from −1 to 1']
  const reasons = new Set(lines.flatMap(([, { kappa, agreement }]) => [kappa.reason, agreement.reason]).filter(Boolean) as string[])
  const methods = new Set(lines.map(([, { method, kappa }]) => (kappa.method ? `${method}; interval: ${kappa.method}` : method)))
  return [
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Agreement' }, h('table', { class: 'kappas' },
      h('thead', {}, h('tr', {}, ...head.map((words, at) => h('th', { scope: 'col', class: at && at < 4 ? 'number' : null }, words)))),
      h('tbody', {}, ...rows))),
    ...[...reasons].map((reason) => h('p', { class: 'hint' }, `No κ, or none with an interval: ${reason}.`)),
    ...[...methods, found.note].map((text) => h('p', { class: 'hint' }, `${text.replace(/\.$/, '')}.`)),
  ]
}

const interval = ({ value, low, high }: Estimate): string =>
  value === null ? '–' : `${signed(value, 2)}${low === null || high === null ? '' : ` (${signed(low, 2)} to ${signed(high, 2)})`}`

/** The interval as a line from -1 to 1, with a point at the value. */
function scale({ value, low, high }: Estimate): HTMLElement {
  const at = (share: number) => `${Math.min(Math.max((share + 1) / 2, 0), 1) * 100}%`
  const box = h('span', { class: 'interval' })
  if (value === null) return box
  if (low !== null && high !== null) {
    const line = h('span', { class: 'interval-line' })
    line.style.left = at(low)
    line.style.right = `calc(100% - ${at(high)})`
    box.append(line)
  }
  const point = h('span', { class: 'interval-point' })
  point.style.left = at(value)
  box.append(point)
  return box
}
