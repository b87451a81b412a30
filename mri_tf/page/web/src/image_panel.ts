/** The image of a case with its controls: planes, sequence, opacity, slices, and where the crosshair is. */

import { type Api, ApiError, type Case, type Model } from './api'
import { fill, h, newId } from './dom'
import type { Overlay, Place, Plane, View, Viewer } from './viewer'
import { labelColour } from './viewer_colours'
import { readable, signed } from './words'

const PLANES: [plane: Plane, words: string, from: string][] = [
  ['axial', 'Axial', 'from the head'], ['coronal', 'Coronal', 'from the front'], ['sagittal', 'Sagittal', 'from the patient’s right'],
]
const VIEWS: [view: View, words: string][] = [['three', 'Three planes'], ...PLANES.map(([plane, words]) => [plane, words] as [View, string])]

export class ImagePanel {
  readonly element: HTMLElement
  private viewer: Viewer | null = null
  private shown: Case | null = null
  private view: View = 'three'
  private turn = 0 // of what was asked to be shown: only the last counts
  private readonly kept = new Map<string, Promise<ArrayBuffer>>()
  private readonly canvas = h('canvas', { role: 'img', 'aria-label': 'Image' })
  private readonly busy = h('p', { class: 'busy', role: 'status' })
  private readonly stage = h('div', { class: 'stage' }, this.canvas, this.busy)
  private readonly sequence = h('select', { id: 'sequence', onchange: () => void this.draw(true) })
  private readonly sequenceField = h('div', { class: 'field inline' }, h('label', { for: 'sequence' }, 'Sequence'), this.sequence)
  private readonly opacity = h('input', { type: 'range', id: 'opacity', min: '0', max: '100', step: '5', value: '60', oninput: () => this.setOpacity(this.opacity.valueAsNumber / 100) })
  private readonly opacityShown = h('output', { for: 'opacity' }, '60 %')
  private readonly opacityField = h('div', { class: 'field inline opacity' }, h('label', { for: 'opacity' }, 'Map opacity'), this.opacity, this.opacityShown)
  private readonly crosshair = h('input', { type: 'checkbox', id: 'crosshair', checked: true, onchange: () => this.viewer?.setCrosshair(this.crosshair.checked) })
  private readonly crosshairField = h('div', { class: 'check' }, this.crosshair, h('label', { for: 'crosshair' }, 'Crosshair'))
  private readonly views = h('div', { class: 'segments', role: 'radiogroup', 'aria-label': 'View' },
    ...VIEWS.map(([view, words]) => h('label', {}, h('input', { type: 'radio', name: 'view', value: view, checked: view === 'three', onchange: () => this.setView(view) }), h('span', {}, words))))
  private readonly sliders = new Map<Plane, { slider: HTMLInputElement; shown: HTMLOutputElement; field: HTMLElement }>()
  private readonly slices = h('div', { class: 'slices-controls' })
  private readonly where = h('p', { class: 'where', id: 'where' })
  private readonly legend = h('ul', { class: 'legend' })

  constructor(private readonly api: Api, private readonly model: Model, private readonly moved: (place: Place) => void) {
    for (const [plane, words, from] of PLANES) {
      const id = newId()
      const slider = h('input', { type: 'range', id, min: '1', max: '1', value: '1', 'data-plane': plane, oninput: () => this.viewer?.goTo(plane, slider.valueAsNumber) })
      const shown = h('output', { for: id })
      const field = h('div', { class: 'field inline slice' }, h('label', { for: id, title: `Counted ${from}` }, words), slider, shown)
      this.sliders.set(plane, { slider, shown, field })
      this.slices.append(field)
    }
    this.element = h('section', { class: 'panel image', 'aria-label': 'Image' },
      h('div', { class: 'toolbar' }, this.views, this.sequenceField), this.stage, this.legend,
      h('div', { class: 'controls' }, h('div', { class: 'first-controls' }, this.opacityField, this.crosshairField), this.slices), this.where)
  }

  /** Shows a case; the same case again, for example with its map now, stays at its place. */
  async show(one: Case): Promise<void> {
    const same = this.shown?.id === one.id
    this.shown = one
    if (!same) {
      fill(this.sequence, ...one.image.channels.map((name, number) => h('option', { value: String(number) }, readable(name))))
      this.kept.clear()
    }
    this.sequenceField.hidden = one.image.channels.length < 2
    this.views.hidden = this.slices.hidden = this.crosshairField.hidden = one.image.is_2d
    this.views.parentElement!.hidden = one.image.is_2d && this.sequenceField.hidden
    const labelled = one.labels !== null
    this.opacityField.hidden = !one.map && !labelled
    this.opacityField.querySelector('label')!.textContent = labelled ? 'Label opacity' : 'Map opacity'
    fill(this.legend, ...(labelled ? this.model.classes.slice(1).map((name, at) => {
      const swatch = h('span', { class: 'swatch', 'aria-hidden': 'true' })
      swatch.style.backgroundColor = labelColour(at + 1)
      return h('li', {}, swatch, readable(name))
    }) : one.map ? [h('li', { class: 'map-scale' }, 'Map: 0', h('span', { class: 'ramp', 'aria-hidden': 'true' }), 'largest value')] : []))
    await this.draw(same)
  }

  private async draw(keepPlace: boolean): Promise<void> {
    const one = this.shown
    if (!one) return
    const turn = ++this.turn
    this.busy.textContent = 'Loading the image …'
    this.element.setAttribute('aria-busy', 'true')
    try {
      const many = one.image.channels.length > 1
      const image = this.fetched(many ? `${one.image.url}?channel=${this.sequence.value || '0'}` : one.image.url)
      const [data, overlay, viewer] = await Promise.all([image, this.overlay(one), this.opened()])
      if (turn !== this.turn) return
      await viewer.show(data, overlay, one.image.is_2d, this.view, keepPlace)
      this.busy.textContent = one.map && viewer.emptyMap ? 'The map is 0 everywhere: no region speaks for the class.' : ''
      this.element.dataset.shown = `${one.id}${overlay ? ` with ${overlay.kind}` : ''}`
    } catch (error) {
      if (turn !== this.turn) return
      this.busy.textContent = error instanceof ApiError ? error.message : `The image cannot be drawn: ${(error as Error).message}. This page needs a browser with WebGL 2.`
    } finally {
      if (turn === this.turn) this.element.removeAttribute('aria-busy')
    }
  }

  private async overlay(one: Case): Promise<Overlay | null> {
    const kind = one.labels ? 'labels' : 'map'
    const source = one.labels ?? one.map
    return source && { kind, data: await this.fetched(source.url), classes: this.model.classes }
  }

  private fetched(url: string): Promise<ArrayBuffer> {
    const found = this.kept.get(url) ?? this.api.bytes(url)
    this.kept.set(url, found)
    found.catch(() => this.kept.delete(url))
    return found
  }

  /** The viewer, which is loaded when the first image is. */
  private async opened(): Promise<Viewer> {
    this.opening ??= import('./viewer').then(({ Viewer }) => Viewer.in(this.canvas, (place) => this.tell(place)))
    this.viewer = await this.opening
    return this.viewer
  }
  private opening: Promise<Viewer> | null = null

  setOpacity(share: number): void {
    this.opacity.value = String(Math.round(share * 100))
    this.opacityShown.textContent = `${Math.round(share * 100)} %`
    this.viewer?.setOpacity(share)
  }

  toggleCrosshair(): void {
    if (!this.crosshairField.hidden) this.crosshair.click()
  }

  private setView(view: View): void {
    this.view = view
    this.viewer?.setView(view)
  }

  /** Moves through the slices of the plane that is seen, or of `plane` where three are. */
  step(plane: Plane, by: number): void {
    if (this.shown?.image.is_2d) return
    this.viewer?.step(this.view === 'three' ? plane : this.view, by)
  }

  goToHeight(z_mm: number): void {
    this.viewer?.goToHeight(z_mm)
  }

  private tell(place: Place): void {
    const flat = this.shown?.image.is_2d
    const told: string[] = []
    for (const [plane, words] of PLANES) {
      const { number, of } = place.slices[plane]
      const { slider, shown } = this.sliders.get(plane)!
      slider.max = String(of)
      slider.value = String(number)
      slider.setAttribute('aria-valuetext', `slice ${number} of ${of}`)
      shown.textContent = `${number} / ${of}`
      told.push(`${words.toLowerCase()} slice ${number} of ${of}`)
    }
    const mm = place.mm.map((value) => signed(value, 1))
    const values = [`image ${short(place.image)}`]
    if (place.overlay !== null && this.shown?.labels) values.push(readable(this.model.classes[Math.round(place.overlay)] ?? String(place.overlay)))
    else if (place.overlay !== null) values.push(`map ${short(place.overlay)}`)
    fill(this.where, h('span', {}, flat ? `column ${place.slices.sagittal.number}, row ${place.slices.coronal.number}` : `x ${mm[0]}, y ${mm[1]}, z ${mm[2]} mm`), flat ? null : h('span', {}, `voxel ${place.voxel.join(', ')}`), ...values.map((text) => h('span', {}, text)))
    this.where.dataset.voxel = place.voxel.join(' ')
    this.where.dataset.mm = place.mm.map((value) => value.toFixed(3)).join(' ')
    this.viewer?.describe(flat ? `Image of ${this.shown?.name}` : `Image of ${this.shown?.name}: ${told.join(', ')}`)
    this.moved(place)
  }
}

/** A grey value or a value of the map, with about three digits. */
const short = (value: number): string => (Number.isInteger(value) ? String(value) : value.toPrecision(3)).replace('-', '−')
