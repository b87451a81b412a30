/** A session begins with the page and ends with it; then the server deletes all that it was sent. */

import { type About, type Api, ApiError } from './api'

/** Opens a session, and calls `ended` once if the server no longer knows it. */
export async function openSession(api: Api, about: About, ended: () => void): Promise<void> {
  const { session } = await api.json<{ session: string }>('POST', '/api/session')
  api.session = session
  const beat = setInterval(() => {
    api.json('POST', '/api/session/alive').catch((error: unknown) => {
      if (!(error instanceof ApiError) || ![401, 403, 404, 410].includes(error.status)) return
      clearInterval(beat)
      ended()
    })
  }, about.heartbeat_s * 1000)
  addEventListener('pagehide', () => navigator.sendBeacon('/api/session/close', session))
  // A browser may show a page that was left as it was; its session has ended.
  addEventListener('pageshow', (event) => event.persisted && location.reload())
}
