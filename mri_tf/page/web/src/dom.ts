/** Builds elements. Text is always set as text, so nothing that a file or a model says becomes HTML. */

type Child = Node | string | null | false | undefined
type Value = string | number | boolean | null | undefined | ((event: any) => void)

/** An element. `on...` attributes are listeners; true sets an attribute without a value. */
export function h<T extends keyof HTMLElementTagNameMap>(
  tag: T, attributes: Record<string, Value> = {}, ...children: Child[]
): HTMLElementTagNameMap[T] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, '')
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value))
  }
  fill(element, ...children)
  return element
}

/** Puts these children in place of those that an element has. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...children.filter((child): child is Node | string => child !== null && child !== false && child !== undefined && child !== ''))
}

/** A dialog with a heading and a button that closes it; Escape closes it too. */
export function dialog(title: string, name: string, ...children: Child[]): HTMLDialogElement {
  const id = `dialog-${name}`
  const close = h('button', { type: 'button', class: 'quiet', onclick: () => box.close() }, 'Close')
  const box = h('dialog', { class: `dialog ${name}`, 'aria-labelledby': id },
    h('header', { class: 'dialog-head' }, h('h2', { id }, title), close), ...children)
  box.addEventListener('close', () => box.remove())
  document.body.append(box)
  box.showModal()
  return box
}

/** Has the browser save bytes as a file. */
export function saveFile(data: ArrayBuffer, name: string, type: string): void {
  const address = URL.createObjectURL(new Blob([data], { type }))
  h('a', { href: address, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}

let next = 0
/** An id that no other element has. */
export const newId = (): string => `e${++next}`
