/** Sends a study file by file, some at once, and can be cancelled. */

import type { Api } from './api'
import type { StudyFile } from './dropped'

const AT_ONCE = 4

export interface Sent { files: number; bytes: number }

export async function upload(
  api: Api, study: string, files: StudyFile[], signal: AbortSignal, told: (sent: Sent) => void
): Promise<void> {
  const progress = new Map<number, number>()
  let finished = 0
  let bytes = 0
  let next = 0
  const tell = () => {
    let running = 0
    for (const part of progress.values()) running += part
    told({ files: finished, bytes: bytes + running })
  }
  const work = async () => {
    while (next < files.length) {
      const number = next++
      const { path, file } = files[number]
      const address = `/api/studies/${study}/files?path=${encodeURIComponent(path)}`
      await api.send(address, file, signal, (part) => {
        progress.set(number, Math.min(part, file.size))
        tell()
      })
      progress.delete(number)
      finished += 1
      bytes += file.size
      tell()
    }
  }
  const workers = Array.from({ length: Math.min(AT_ONCE, files.length) }, work)
  try {
    await Promise.all(workers)
  } catch (error) {
    next = files.length // the others send nothing more
    await Promise.allSettled(workers)
    throw error
  }
}
