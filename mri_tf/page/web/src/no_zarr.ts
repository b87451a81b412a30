/** Stands in for zarrita: the server sends NIfTI only. */

function none(): never {
  throw new Error('This page reads NIfTI, no Zarr.')
}

export const root = none, open = none, get = none, slice = none

export class FetchStore {
  constructor() {
    none()
  }
}
