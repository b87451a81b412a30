/** The server's HTTP interface: what it says, and how it is asked. */

export interface About {
  version: string
  needs_token: boolean
  limits: { file_mb: number; study_mb: number; files: number; seconds: number }
  heartbeat_s: number
  silence_s: number
  keep: boolean
}

export interface Model {
  name: string
  version: number | string
  question: string
  kind: 'classification' | 'segmentation'
  answers_for: string
  classes: string[]
  modality: string
  sequences: string[]
  inputs: string
  needs_mask: boolean
  explains: boolean
  members: number
  card: string | null
  audit: { verdict: string; sentence: string }
}

export interface Row {
  decision?: string
  most_probable?: string
  probabilities?: Record<string, number>
  prediction_set?: string[] | null
  disagreement?: Record<string, number>
  out_of_distribution: boolean | null
  reasons: string[]
  feature_out_of_distribution?: boolean | null
  slice?: number
  z_mm?: number
  voxels?: Record<string, number>
  volume_ml?: Record<string, number>
  map_outside_brain?: number
}

export interface Case {
  id: string
  name: string
  files: string
  answered: boolean
  image: { url: string; channels: string[]; is_2d: boolean }
  map: { url: string } | null
  labels: { url: string } | null
  header: Record<string, string> | null
  rows: Row[]
  reading?: Reading | null
}

/** What a reader said of a case: before the answer was shown, and after. */
export interface Reading { label: string; corrected: string | null; seconds: number }

export interface Study {
  state: 'uploading' | 'queued' | 'preparing' | 'answering' | 'done' | 'failed' | 'cancelled'
  done: number
  of: number
  sentence: string
  cases: Case[]
  skipped: { input: string; reason: string }[]
  about?: { no_prediction_sets?: string | null }
}

export interface Estimate { value: number | null; low: number | null; high: number | null; method?: string; reason?: string }
export interface Agreeing { n: number; agreement: Estimate; kappa: Estimate; method: string }
export interface Agreement {
  with_model: Agreeing
  after_correction: Agreeing
  readers_with_model: (Agreeing & { name: string })[]
  between: (Agreeing & { a: string; b: string })[]
  among: Agreeing | null // of three readers or more
  note: string
}

/** What the server refuses, in its own sentence. */
export class ApiError extends Error {
  constructor(readonly status: number, sentence: string) {
    super(sentence)
  }
}

export const UNREACHABLE = 'The server does not answer. It may have been stopped. Start it again and reload this page.'

export class Api {
  session = ''
  token = ''

  headers(): Record<string, string> {
    const found: Record<string, string> = {}
    if (this.session) found['X-Session'] = this.session
    if (this.token) found.Authorization = `Bearer ${this.token}`
    return found
  }

  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const text = body === undefined ? {} : { body: JSON.stringify(body), headers: { ...this.headers(), 'Content-Type': 'application/json' } }
    const answer = await this.call(method, path, text)
    return (answer.status === 204 ? undefined : await answer.json()) as T
  }

  async bytes(path: string): Promise<ArrayBuffer> {
    return (await this.call('GET', path)).arrayBuffer()
  }

  private async call(method: string, path: string, more: RequestInit = {}): Promise<Response> {
    let answer: Response
    try {
      answer = await fetch(path, { method, headers: this.headers(), ...more })
    } catch {
      throw new ApiError(0, UNREACHABLE)
    }
    if (!answer.ok) throw new ApiError(answer.status, sentenceOf(await answer.text(), answer.status))
    return answer
  }

  /** Sends one file. XMLHttpRequest, because fetch does not tell how much has been sent. */
  send(path: string, file: Blob, signal: AbortSignal, sent: (bytes: number) => void): Promise<void> {
    return new Promise((done, failed) => {
      const request = new XMLHttpRequest()
      request.open('PUT', path)
      for (const [name, value] of Object.entries(this.headers())) request.setRequestHeader(name, value)
      request.setRequestHeader('Content-Type', 'application/octet-stream')
      const cancel = () => request.abort()
      signal.addEventListener('abort', cancel, { once: true })
      request.upload.onprogress = (event) => sent(event.loaded)
      request.onload = () => {
        if (request.status < 300) done()
        else failed(new ApiError(request.status, sentenceOf(request.responseText, request.status)))
      }
      request.onerror = () => failed(new ApiError(0, 'A file could not be sent. The server may have stopped, or the file has changed since you chose it. Choose the study again.'))
      request.onabort = () => failed(new DOMException('cancelled', 'AbortError'))
      request.onloadend = () => signal.removeEventListener('abort', cancel)
      request.send(file)
    })
  }
}

function sentenceOf(text: string, status: number): string {
  try {
    const { error } = JSON.parse(text) as { error?: string }
    if (error) return error
  } catch {
    // not JSON: said below
  }
  return `The server refused this with code ${status} and gave no reason.`
}
