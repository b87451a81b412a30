/** The keyboard: one letter does one thing, anywhere but in a text field. */

import { dialog, h } from './dom'
import type { Plane } from './viewer'

export interface Actions {
  step(plane: Plane, by: number): void
  opacity(share: number): void
  toggleCrosshair(): void
  beside(by: number): void
}

const KEYS: [keys: string[], words: string][] = [
  [['↑', '↓'], 'One slice towards the head or the feet; in a single plane one slice back or on'],
  [['←', '→'], 'One slice towards the patient’s right or left'],
  [['Page ↑', 'Page ↓'], 'One slice towards the front or the back'],
  [['1', '…', '9'], 'Opacity of the map from 10 to 90 %; 0 hides it'],
  [['c'], 'Crosshair on or off'],
  [['n', 'p'], 'Next and previous case, in the order of the list'],
  [['?'], 'This help'],
  [['Tab'], 'From one control to the next; Enter or Space presses it'],
]
const MOVES: Record<string, [plane: Plane, by: number]> = {
  ArrowUp: ['axial', -1], ArrowDown: ['axial', 1], ArrowLeft: ['sagittal', -1], ArrowRight: ['sagittal', 1],
  PageUp: ['coronal', -1], PageDown: ['coronal', 1],
}
let on = true

/** Listens to keys; returns what ends that. */
export function listenToKeys(actions: Actions): () => void {
  const listener = (event: KeyboardEvent) => {
    const target = event.target instanceof HTMLElement ? event.target : document.body
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return
    if (target.tagName === 'CANVAS') event.stopPropagation() // NiiVue has keys of its own
    if (act(event, target, actions)) event.preventDefault()
  }
  document.addEventListener('keydown', listener, { capture: true })
  return () => document.removeEventListener('keydown', listener, { capture: true })
}

function act(event: KeyboardEvent, target: HTMLElement, actions: Actions): boolean {
  const kind = target instanceof HTMLInputElement ? target.type : target.tagName
  if (['text', 'search', 'SELECT', 'TEXTAREA'].includes(kind)) return false
  const move = MOVES[event.key]
  if (move) {
    const own = target.dataset.plane as Plane | undefined
    // A slider of slices moves its own plane in the sense of the arrows; others keep their own keys.
    if (own) actions.step(own, move[1])
    else if (['radio', 'range'].includes(kind) || target.closest('.scroll')) return false
    else actions.step(...move)
    return true
  }
  if (!on && event.key !== '?') return false
  if (/^[0-9]$/.test(event.key)) actions.opacity(Number(event.key) / 10)
  else if (event.key === 'c') actions.toggleCrosshair()
  else if (event.key === 'n') actions.beside(1)
  else if (event.key === 'p') actions.beside(-1)
  else if (event.key === '?') showKeys()
  else return false
  return true
}

/** What each key does, and a switch that turns single letters off. */
export function showKeys(): void {
  const lines = KEYS.map(([keys, words]) => h('tr', {}, h('th', { scope: 'row' }, ...keys.map((key) => (key === '…' ? ' … ' : h('kbd', {}, key)))), h('td', {}, words)))
  const box = h('input', { type: 'checkbox', id: 'keys-on', checked: on, onchange: () => { on = box.checked } })
  dialog('Keyboard and mouse', 'keys', h('table', {}, h('tbody', {}, ...lines)),
    h('p', {}, 'A click into the image moves the crosshair there, the wheel moves through slices. Pressing the right button and moving over an area sets the contrast to it; a double click sets it back.'),
    h('div', { class: 'check' }, box, h('label', { for: 'keys-on' }, 'Letters and digits are keys on this page')))
}
