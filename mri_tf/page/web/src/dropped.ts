/** The files of what was dropped or chosen, each with its path inside the study. */

export interface StudyFile { path: string; file: File }

const TOGETHER = 8 // files that are asked about at a time: more, and the page is not drawn meanwhile
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
    // A call gives at most 100 entries.
    const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed))
    if (!some.length) return found.flat()
    for (let at = 0; at < some.length; at += TOGETHER) found.push(...(await Promise.all(some.slice(at, at + TOGETHER).map(walk))))
  }
}

/** Without the files that a file manager adds. */
const visible = (files: StudyFile[]): StudyFile[] => files.filter(({ path }) => !HIDDEN.test(path))
