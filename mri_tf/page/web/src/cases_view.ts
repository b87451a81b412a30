/** The third view: the list of cases, the image, and what the model says of it. */

import type { Api, Case, Model, Study } from './api'
import { downloadReadings, showAgreement } from './agreement'
import { answerParts, backgroundParts, sliceTable } from './answer'
import { CaseList } from './case_list'
import { dialog, fill, h, saveFile } from './dom'
import { ImagePanel } from './image_panel'
import { listenToKeys } from './keys'
import { Readings } from './reading'
import type { Place } from './viewer'
import { capital, plural } from './words'

export interface Shown { api: Api; model: Model; id: string; study: Study; reader: string; keep: boolean }

export class CasesView {
  readonly element: HTMLElement
  private cases: Case[]
  private current: Case
  private row = 0
  private readonly list: CaseList
  private readonly image: ImagePanel
  private readonly readings: Readings | null
  private readonly heading = h('h1', { tabindex: '-1', id: 'case-heading' })
  private readonly file = h('p', { class: 'hint file' })
  private readonly answer = h('section', { class: 'panel answer', 'aria-labelledby': 'case-heading' })
  private readonly progress = h('p', { class: 'hint', role: 'status' })
  private readonly previous = h('button', { type: 'button', class: 'quiet', onclick: () => this.beside(-1) }, '← Previous')
  private readonly next = h('button', { type: 'button', class: 'quiet', onclick: () => this.beside(1) }, 'Next →')
  private readonly message = h('p', { class: 'hint', role: 'status' })
  private readonly say = (error: Error) => { this.message.textContent = error.message }
  private readonly silence: () => void
  private readonly ofReadings: HTMLButtonElement[] = []

  /** `again` is called when another study is wanted; the study is deleted by then. */
  constructor(private readonly shown: Shown, private readonly again: () => void) {
    const { api, model, id, study, reader } = shown
    this.cases = study.cases
    this.current = this.cases[0]
    this.readings = reader ? new Readings(api, id, model) : null
    this.list = new CaseList((chosen) => this.open(chosen))
    this.image = new ImagePanel(api, model, (place) => this.follow(place))
    if (this.readings) {
      this.ofReadings.push(
        h('button', { type: 'button', onclick: () => downloadReadings(api, id, reader).catch(this.say) }, 'Download labels (CSV)'),
        h('button', { type: 'button', onclick: () => showAgreement(api, id, this.readings!.count) }, 'Agreement'))
    }
    const tools = h('div', { class: 'tools' }, this.progress,
      ...this.ofReadings,
      shown.keep && h('button', { type: 'button', onclick: () => api.json<{ folder: string }>('POST', `/api/studies/${id}/keep`).then(({ folder }) => { this.message.textContent = `Kept on the server in the folder ${folder}.` }, this.say) }, 'Keep on the server'),
      h('button', { type: 'button', onclick: () => this.leave() }, 'Another study'), this.message)
    const skipped = study.skipped.length ? h('details', { class: 'box note skipped', id: 'skipped' },
      h('summary', {}, `${plural(study.skipped.length, 'input')} could not be read`),
      h('ul', {}, ...study.skipped.map(({ input, reason }) => h('li', {}, h('strong', {}, input), `: ${reason}`)))) : null
    this.element = h('div', { class: 'reading-room' },
      h('div', { class: 'case-head' }, h('div', { class: 'titles' }, this.heading, this.file), h('div', { class: 'steps' }, this.previous, this.next), tools),
      this.list.element, this.image.element, this.answer, skipped)
    this.silence = listenToKeys({
      step: (plane, by) => this.image.step(plane, by), opacity: (share) => this.image.setOpacity(share), toggleCrosshair: () => this.image.toggleCrosshair(), beside: (by) => this.beside(by),
    })
    this.open(this.current.id)
    queueMicrotask(() => this.heading.focus())
  }

  private open(id: string): void {
    const one = this.cases.find((each) => each.id === id)
    if (!one) return
    this.current = one
    this.row = 0
    this.readings?.looksAt(id)
    this.draw()
    void this.image.show(one)
  }

  private beside(by: number): void {
    const id = this.list.beside(by)
    if (id) this.open(id)
  }

  private draw(): void {
    const one = this.current
    const at = this.cases.indexOf(one)
    this.heading.textContent = capital(this.cases.length > 1 ? `${one.name} of ${this.cases.length}` : one.name)
    this.file.textContent = one.files
    this.list.set(this.cases, one.id)
    this.previous.disabled = this.list.beside(-1) === null
    this.next.disabled = this.list.beside(1) === null
    this.progress.textContent = this.readings ? `${this.readings.count} of ${plural(this.cases.length, 'case')} labelled` : ''
    for (const button of this.ofReadings) button.disabled = !this.readings?.count
    document.title = `${one.name} (${at + 1} of ${this.cases.length}) – mri_tf`
    const form = this.readings && this.readings.form(one, (answered) => this.answered(answered))
    const parts: (HTMLElement | null)[] = [form]
    if (one.answered) {
      const { model } = this.shown
      const row = one.rows[this.row]
      if (one.rows.length > 1) parts.push(h('h2', {}, `Slice ${row.slice ?? this.row + 1} of ${one.rows.length}`))
      else parts.push(h('h2', {}, model.kind === 'segmentation' ? 'What the model found' : 'What the model says'))
      parts.push(...answerParts(row, this.shown.study.about?.no_prediction_sets ?? '', one.image.is_2d))
      if (one.rows.length > 1) parts.push(sliceTable(one, this.row, (number) => this.chooseRow(number)))
      if (one.labels && !one.image.is_2d) parts.push(h('p', {}, h('button', { type: 'button', onclick: () => this.saveLabels(one) }, 'Download the labels (NIfTI)')))
      if (!one.map && model.kind === 'classification') parts.push(h('p', { class: 'hint' }, 'This model gives no map.'))
    }
    fill(this.answer, ...parts, ...backgroundParts(this.shown.api, this.shown.model, one))
    const line = this.answer.querySelector<HTMLElement>('.slices .decided')
    const box = line?.closest('.scroll')
    if (line && box) box.scrollTop = line.offsetTop - box.clientHeight / 2
  }

  /** Saves a case's labels on the grid of its file. */
  private saveLabels(one: Case): void {
    const name = `labels_${one.files.replace(/\.(nii|gz|nrrd|mha|mgz)\b/g, '').replace(/[^\w-]+/g, '_')}.nii.gz`
    this.shown.api.bytes(`${one.labels!.url}?grid=source`).then((data) => saveFile(data, name, 'application/gzip'), this.say)
  }

  /** The case with its answer, after the reader's label. */
  private answered(one: Case): void {
    this.cases = this.cases.map((each) => (each.id === one.id ? one : each))
    const isShown = this.current.id === one.id
    if (!isShown) {
      this.list.set(this.cases, this.current.id)
      return
    }
    this.current = one
    this.draw()
    this.answer.querySelector<HTMLElement>('summary')?.focus()
    void this.image.show(one)
  }

  private chooseRow(number: number): void {
    const { z_mm } = this.current.rows[number]
    if (z_mm !== undefined) this.image.goToHeight(z_mm)
    if (this.row !== number) this.setRow(number)
  }

  private setRow(number: number): void {
    const held = this.answer.contains(document.activeElement)
    this.row = number
    this.draw()
    if (held) this.answer.querySelector<HTMLElement>('[aria-pressed=true]')?.focus()
  }

  /** The row of the slice that is nearest to the crosshair is shown. */
  private follow(place: Place): void {
    const { rows } = this.current
    if (rows.length < 2 || rows.some((row) => row.z_mm === undefined)) return
    const far = rows.map((row) => Math.abs(row.z_mm! - place.mm[2]))
    const nearest = far.indexOf(Math.min(...far))
    if (far[this.row] > far[nearest] + 1e-6) this.setRow(nearest)
  }

  private leave(): void {
    const labels = this.readings?.count ? ` Your labels (${this.readings.count}) are deleted too: download them first if you need them.` : ''
    const box = dialog('Another study', 'leave', h('p', {}, `This study is deleted from the server.${labels}`),
      h('div', { class: 'buttons' }, h('button', { type: 'button', class: 'main', onclick: () => {
        box.close()
        this.silence()
        void this.shown.api.json('DELETE', `/api/studies/${this.shown.id}`).catch(() => undefined)
        this.again()
      } }, 'Delete it and start again'), h('button', { type: 'button', onclick: () => box.close() }, 'Stay here')))
  }
}
