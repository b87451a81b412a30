/** The files of what was dropped or chosen, each with its path inside the study. */

export interface StudyFile { path: string; file: File }

const HIDDEN = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/

/** Of a drop: single files, and whole folders to any depth. */
export async function filesOfDrop(data: DataTransfer): Promise<StudyFile[]> {
  // The items are gone after the first wait, so entries are taken at once.
  const items = [...data.items].filter((item) => item.kind === 'file')
  const entries = items.map((item) => item.webkitGetAsEntry())
  const plain = items.map((item) => item.getAsFile())
  const found: StudyFile[] = []
  for (const [number, entry] of entries.entries()) {
    const file = plain[number]
    if (entry) found.push(...(await walk(entry)))
    else if (file) found.push({ path: file.name, file })
  }
  return visible(found)
}

/** Of a file chooser, of files or of a folder. */
export function filesOfInput(input: HTMLInputElement): StudyFile[] {
  return visible([...(input.files ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file })))
}

async function walk(entry: FileSystemEntry): Promise<StudyFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed))
    return [{ path: entry.fullPath.replace(/^\//, ''), file }]
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const found: StudyFile[][] = []
  for (;;) {
    // A call gives at most 100 entries, which are asked about together.
    const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed))
    if (!some.length) return found.flat()
    found.push(...(await Promise.all(some.map(walk))))
    await new Promise((done) => setTimeout(done)) // the page is drawn between them
  }
}

/** Without the files that a file manager adds. */
const visible = (files: StudyFile[]): StudyFile[] => files.filter(({ path }) => !HIDDEN.test(path))
