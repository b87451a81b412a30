/** How numbers and counts are written. */

export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

/** A probability with three digits; what rounds to 0 or 1 without being it says so. */
export function probability(value: number): string {
  if (value > 0 && value < 0.0005) return '<0.001'
  if (value < 1 && value >= 0.9995) return '>0.999'
  return value.toFixed(3)
}

export function megabytes(bytes: number): string {
  const mb = bytes / 1e6
  return mb >= 100 ? mb.toFixed(0) : mb.toFixed(1)
}

/** With a true minus sign. */
export const signed = (value: number, digits: number): string => value.toFixed(digits).replace(/^-(?=.*[1-9])/, '−').replace('-', '')

/** The first letter as a capital. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** A text as a sentence: with a capital, and with a full stop. */
export const sentence = (text: string): string => capital(text.replace(/\.?$/, '.'))

/** Millilitres with about three digits. */
export const millilitres = (ml: number): string => ml.toFixed(ml >= 100 ? 0 : ml >= 10 ? 1 : 2)

export const thousands = (count: number): string => count.toLocaleString('en')

/** A name in code, as it is read: `left_atrium` is "left atrium". */
export const readable = (name: string): string => name.replaceAll('_', ' ')

/** "a, b and c" */
export function listed(names: string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names[names.length - 1]}`
}
