/** Begins: asks the server what it is, opens a session, and changes between the three views. */

import './page.css'
import { type About, Api, ApiError, type Model, UNREACHABLE } from './api'
import { CasesView } from './cases_view'
import { fill, h } from './dom'
import { showKeys } from './keys'
import { sendingView } from './sending'
import { openSession } from './session'
import { type Asked, startView } from './start'

const api = new Api()
const main = document.querySelector('main')!
document.querySelector('#help')!.addEventListener('click', showKeys)
// A file that misses the drop area must not replace the page.
for (const kind of ['dragover', 'drop']) addEventListener(kind, (event) => event.preventDefault())

async function begin(): Promise<void> {
  try {
    const about = await api.json<About>('GET', '/api/about')
    if (about.needs_token && !api.token) return askForToken('')
    await openSession(api, about, () => {
      fill(main, h('div', { class: 'ended' }, h('h1', {}, 'The session has ended'),
        h('p', {}, `The server heard nothing of this page for ${about.silence_s} seconds and has deleted the study.`),
        h('button', { type: 'button', class: 'main', onclick: () => location.reload() }, 'Start again')))
    })
    const { models } = await api.json<{ models: Model[] }>('GET', '/api/models')
    start(about, models, '')
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return askForToken(api.token ? error.message : '')
    fill(main, h('div', { class: 'ended' }, h('h1', {}, 'The page cannot begin'),
      h('p', { class: 'box bad', role: 'alert' }, error instanceof ApiError ? error.message : UNREACHABLE)))
  }
}

function start(about: About, models: Model[], complaint: string): void {
  document.title = 'mri_tf'
  fill(main, startView(api, about, models, complaint, (asked) => send(about, models, asked)))
}

function send(about: About, models: Model[], asked: Asked): void {
  fill(main, sendingView(api, asked, (outcome) => {
    if (!outcome || 'complaint' in outcome) return start(about, models, outcome?.complaint ?? '')
    const { id, study } = outcome
    if (!study.cases.length) return start(about, models, study.sentence || 'There is no case in this study.')
    const reader = asked.reading ? asked.reader : ''
    const view = new CasesView({ api, model: asked.model, id, study, reader, keep: about.keep }, () => start(about, models, ''))
    fill(main, view.element)
  }))
}

function askForToken(complaint: string): void {
  const field = h('input', { type: 'password', id: 'token', autocomplete: 'off', required: true })
  fill(main, h('form', { class: 'token', onsubmit: (event: Event) => {
    event.preventDefault()
    api.token = field.value.trim()
    void begin()
  } }, h('h1', {}, 'This server needs a token'), h('p', {}, 'Whoever started the server has it. It is kept in this tab only.'),
  complaint && h('p', { class: 'box bad', role: 'alert' }, complaint),
  h('div', { class: 'field' }, h('label', { for: 'token' }, 'Token'), field), h('button', { type: 'submit', class: 'main' }, 'Continue')))
  field.focus()
}

void begin()
