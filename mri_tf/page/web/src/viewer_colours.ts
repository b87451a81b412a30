/** Okabe and Ito's colours for labels, the bright ones first; the background has none. */

export const LABEL_COLOURS = ['#56b4e9', '#e69f00', '#009e73', '#cc79a7', '#d55e00', '#f0e442', '#0072b2']
export const labelColour = (label: number): string => LABEL_COLOURS[(label - 1) % LABEL_COLOURS.length]
