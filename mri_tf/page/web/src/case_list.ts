/** The list of cases, with search and sort. */

import type { Case, Row } from './api'
import { fill, h } from './dom'
import { capital, plural, probability, readable } from './words'

const ORDERS: Record<string, { words: string; key: (one: Case, place: number) => number | string }> = {
  given: { words: 'Order given', key: (_, place) => place },
  name: { words: 'File name', key: (one) => one.files },
  decision: { words: 'Decision', key: (one) => one.rows[0]?.decision ?? '~' },
  unsure: { words: 'Least sure first', key: (one) => Math.min(2, ...one.rows.map(surest)) },
  sure: { words: 'Surest first', key: (one) => -Math.max(-1, ...one.rows.map(surest)) },
  unlike: { words: 'Unlike training first', key: (one) => (isUnlike(one) ? 0 : 1) },
  apart: { words: 'Disagreement first', key: (one) => -Math.max(0, ...one.rows.map(disagreement)) },
}

const MOST = 200 // cases that are in the list at a time; buttons lead to the others

const surest = (row: Row): number => Math.max(-1, ...Object.values(row.probabilities ?? {}))
const disagreement = (row: Row): number => Math.max(0, ...Object.values(row.disagreement ?? {}))
const isUnlike = (one: Case): boolean => one.rows.some((row) => row.out_of_distribution || row.feature_out_of_distribution)

/** One line on what the model says of a case. */
function answerLine(one: Case): string {
  if (!one.answered) return 'not labelled yet'
  const [row] = one.rows
  if (!row) return 'no answer'
  if (one.rows.length > 1) return plural(one.rows.length, 'slice')
  if (!row.decision) return 'segmented'
  const share = row.probabilities?.[row.decision]
  return share === undefined ? readable(row.decision) : `${readable(row.decision)} ${probability(share)}`
}

export class CaseList {
  readonly element: HTMLElement
  private cases: Case[] = []
  private shown: Case[] = []
  private current = ''
  private first = 0 // of those that are in the list
  private readonly list = h('ul', { class: 'cases' })
  private readonly count = h('p', { class: 'hint', role: 'status' })
  private readonly search = h('input', { type: 'search', id: 'search', placeholder: 'File, class or case', autocomplete: 'off', oninput: () => this.arrange() })
  private readonly order = h('select', { id: 'order', onchange: () => this.arrange() },
    ...Object.entries(ORDERS).map(([value, { words }]) => h('option', { value }, words)))

  constructor(private readonly choose: (id: string) => void) {
    this.element = h('nav', { class: 'panel case-list', 'aria-label': 'Cases' },
      h('h2', {}, 'Cases'),
      h('div', { class: 'field' }, h('label', { for: 'search' }, 'Search'), this.search),
      h('div', { class: 'field' }, h('label', { for: 'order' }, 'Sort'), this.order),
      this.count, this.list)
  }

  set(cases: Case[], current: string): void {
    this.cases = cases
    this.current = current
    this.arrangeShown()
    const at = this.shown.findIndex(({ id }) => id === current)
    if (at >= 0 && (at < this.first || at >= this.first + MOST)) this.first = Math.max(0, at - MOST / 2)
    this.draw()
    this.list.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' })
  }

  /** The case that comes `by` after the current one in the list as it is shown; null at its ends. */
  beside(by: number): string | null {
    const at = this.shown.findIndex(({ id }) => id === this.current)
    return this.shown[at < 0 ? 0 : at + by]?.id ?? null
  }

  /** In another order, or of another search: from its beginning. */
  private arrange(): void {
    this.arrangeShown()
    this.first = 0
    this.draw()
    this.list.scrollTop = 0
  }

  private arrangeShown(): void {
    const wanted = this.search.value.trim().toLowerCase()
    const { key } = ORDERS[this.order.value]
    this.shown = this.cases
      .map((one, place) => ({ one, key: key(one, place) }))
      .filter(({ one }) => !wanted || `${one.name} ${one.files} ${answerLine(one)}`.toLowerCase().includes(wanted))
      .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
      .map(({ one }) => one)
    this.count.textContent = wanted ? `${this.shown.length} of ${plural(this.cases.length, 'case')}` : plural(this.cases.length, 'case')
  }

  private draw(): void {
    const after = this.shown.length - this.first - MOST
    fill(this.list,
      this.first > 0 && this.others(`${plural(this.first, 'case')} before`, this.first - MOST),
      ...this.shown.slice(this.first, this.first + MOST).map((one) => this.item(one)),
      after > 0 && this.others(`${plural(after, 'case')} after`, this.first + MOST))
  }

  /** A button that leads to the cases from a place on. */
  private others(words: string, first: number): HTMLElement {
    return h('li', {}, h('button', { type: 'button', class: 'case others', onclick: () => {
      this.first = Math.max(0, first)
      this.draw()
      this.list.scrollTop = 0
      this.list.querySelector<HTMLElement>('.case:not(.others)')?.focus()
    } }, words))
  }

  private item(one: Case): HTMLElement {
    const here = one.id === this.current
    return h('li', {}, h('button', {
      type: 'button', class: 'case', 'aria-current': here ? 'true' : null, 'data-case': one.id, onclick: () => this.choose(one.id),
    }, h('span', { class: 'case-name' }, capital(one.name)), h('span', { class: 'case-file' }, one.files),
    h('span', { class: 'case-answer' }, answerLine(one)), isUnlike(one) && h('span', { class: 'badge attention' }, 'unlike training')))
  }
}
