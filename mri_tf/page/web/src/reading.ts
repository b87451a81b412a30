/** Reading mode: the reader's label comes before the answer, a correction after it. */

import type { Api, Case, Model, Reading } from './api'
import { h } from './dom'
import { classesOf } from './model_choice'
import { readable } from './words'

export class Readings {
  private readonly given = new Map<string, Reading>()
  private readonly spent = new Map<string, number>() // seconds before the label, a case
  private since: { id: string; at: number } | null = null

  constructor(private readonly api: Api, private readonly study: string, private readonly model: Model) {}

  get count(): number {
    return this.given.size
  }

  /** A case is looked at from now on; the clock runs until its label is given. */
  looksAt(id: string): void {
    this.pause()
    if (!this.given.has(id)) this.since = { id, at: performance.now() }
  }

  private pause(): void {
    if (!this.since) return
    const { id, at } = this.since
    this.spent.set(id, (this.spent.get(id) ?? 0) + (performance.now() - at) / 1000)
    this.since = null
  }

  /** The form for a case: its label, or what was said and a correction. `saved` gets the answered case. */
  form(one: Case, saved: (one: Case) => void): HTMLElement {
    const given = this.given.get(one.id)
    return given ? this.afterwards(one, given, saved) : this.before(one, saved)
  }

  private before(one: Case, saved: (one: Case) => void): HTMLElement {
    const problem = h('p', { class: 'box bad', role: 'alert', hidden: true })
    const button = h('button', { type: 'submit', class: 'main', disabled: true }, 'Save my label and show the answer')
    const form = h('form', { class: 'reading', onsubmit: (event: Event) => {
      event.preventDefault()
      const label = chosen(form)
      if (!label) return
      this.pause()
      button.disabled = true
      const seconds = Math.round((this.spent.get(one.id) ?? 0) * 10) / 10
      void this.save(one, { label, corrected: null, seconds }).then(saved, (error: Error) => {
        button.disabled = false
        this.looksAt(one.id)
        problem.textContent = error.message
        problem.hidden = false
      })
    }, onchange: () => { button.disabled = false } },
    h('h2', {}, 'What do you see?'), h('p', { class: 'hint' }, 'The answer and the map are shown after your label.'),
    this.choices(`Your label for ${one.name}`, ''), problem, button)
    return form
  }

  private afterwards(one: Case, given: Reading, saved: (one: Case) => void): HTMLElement {
    const decision = one.rows.length === 1 ? one.rows[0].decision : undefined
    const last = given.corrected ?? given.label
    const agrees = decision === undefined ? '' : last === decision ? ' The model says the same.' : ` The model says ${readable(decision)}.`
    const problem = h('p', { class: 'box bad', role: 'alert', hidden: true })
    const form = h('form', { onsubmit: (event: Event) => {
      event.preventDefault()
      const label = chosen(form)
      if (!label) return
      void this.save(one, { ...given, corrected: label === given.label ? null : label }).then(saved, (error: Error) => {
        problem.textContent = error.message
        problem.hidden = false
      })
    } }, this.choices('Your label after seeing the answer', last), problem, h('button', { type: 'submit' }, 'Save the correction'))
    const changed = given.corrected ? `, and ${readable(given.corrected)} after seeing the answer` : ''
    return h('div', { class: 'reading' },
      h('p', { id: 'said' }, `You said ${readable(given.label)}${changed}.${agrees}`),
      h('details', {}, h('summary', {}, 'Correct my label'), form))
  }

  private choices(legend: string, checked: string): HTMLElement {
    const name = legend.startsWith('Your label after') ? 'corrected' : 'label'
    return h('fieldset', { class: 'labels' }, h('legend', {}, legend),
      ...classesOf(this.model).map((value) => h('label', { class: 'choice' }, h('input', { type: 'radio', name, value, checked: value === checked }), ' ', readable(value))))
  }

  private async save(one: Case, reading: Reading): Promise<Case> {
    const answered = await this.api.json<Case>('PUT', `/api/studies/${this.study}/cases/${one.id}/reading`, reading)
    this.given.set(one.id, reading)
    return answered
  }
}

const chosen = (form: HTMLFormElement): string | null =>
  form.querySelector<HTMLInputElement>('input[type=radio]:checked')?.value ?? null
