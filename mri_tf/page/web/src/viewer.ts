/** The image with its map or its labels, in three planes or one, drawn by NiiVue. */

import { MULTIPLANAR_TYPE, Niivue, NVImage, SHOW_RENDER, SLICE_TYPE } from '@niivue/niivue'
import { labelColour } from './viewer_colours'

export type Plane = 'axial' | 'coronal' | 'sagittal'
export type View = Plane | 'three'

export interface Overlay { kind: 'map' | 'labels'; data: ArrayBuffer; classes: string[] }

/** Where the crosshair is: the slice of each plane, counted from 1, and the values there. */
export interface Place {
  slices: Record<Plane, { number: number; of: number }>
  mm: [number, number, number]
  voxel: [number, number, number]
  image: number
  overlay: number | null
}

const AXIS: Record<Plane, number> = { sagittal: 0, coronal: 1, axial: 2 }
const VIEWS: Record<View, SLICE_TYPE> = {
  axial: SLICE_TYPE.AXIAL, coronal: SLICE_TYPE.CORONAL, sagittal: SLICE_TYPE.SAGITTAL, three: SLICE_TYPE.MULTIPLANAR,
}
const FADES_BELOW_MIN = 1 // as NiiVue 0.69 draws it; its names of 1 and 2 are exchanged
const CUT = 0.005 // of the grey values that are black and white, as in the figures of the command line
const BACKGROUND = 0.1 // share of voxels that are exactly 0, from which these lie around the brain
const CROSSHAIR_PX = 1.6 // thinner lines are not drawn everywhere
const SHARE: Record<'three' | 'one', number> = { three: 0.6, one: 0.9 } // of the canvas that a plane fills
// From red to yellow, as in the figures of the command line.
const MAP = 'mri_tf_map'
const MAP_COLOURS = {
  R: [168, 204, 234, 249, 251, 241], G: [46, 66, 99, 142, 190, 239], B: [95, 72, 42, 9, 35, 117],
  A: [0, 255, 255, 255, 255, 255], I: [0, 51, 102, 153, 204, 255],
}

export class Viewer {
  private readonly niivue: Niivue
  private overlay: NVImage | null = null
  private grey: NVImage['img'] // of the image as it was sent
  private opacity = 0.6
  private crosshair = true
  private view: View = 'three'
  private is2d = false

  private constructor(private readonly canvas: HTMLCanvasElement, moved: (place: Place) => void) {
    this.niivue = new Niivue({
      backColor: [0, 0, 0, 1], crosshairColor: [0.35, 0.75, 1, 0.9], crosshairWidthUnit: 'percent', crosshairGap: 6,
      fontColor: [0.8, 0.83, 0.87, 1], fontMinPx: 13, loadingText: '', dragAndDropEnabled: false,
      multiplanarShowRender: SHOW_RENDER.NEVER, multiplanarPadPixels: 6, multiplanarLayout: MULTIPLANAR_TYPE.AUTO,
      isForceMouseClickToVoxelCenters: true, isRadiologicalConvention: true, sagittalNoseLeft: true, logLevel: 'error', isColorbar: false,
      viewModeHotKey: '', clipPlaneHotKey: '', cycleClipPlaneHotKey: '',
    })
    this.niivue.addColormap(MAP, MAP_COLOURS)
    this.niivue.onLocationChange = () => {
      const place = this.place()
      if (place) moved(place)
    }
  }

  /** A viewer in a canvas, which fills its parent; raises where the browser has no WebGL 2. */
  static async in(canvas: HTMLCanvasElement, moved: (place: Place) => void): Promise<Viewer> {
    const viewer = new Viewer(canvas, moved)
    await viewer.niivue.attachToCanvas(canvas, false)
    canvas.tabIndex = -1 // the sliders are its keyboard
    new ResizeObserver(() => viewer.drawCrosshair()).observe(canvas)
    return viewer
  }

  /** Shows an image with an overlay; the crosshair goes to the map's maximum, or stays where `keepPlace`. */
  async show(image: ArrayBuffer, overlay: Overlay | null, is2d: boolean, view: View, keepPlace: boolean): Promise<void> {
    const niivue = this.niivue
    const before = [...niivue.scene.crosshairPos]
    const base = await NVImage.loadFromUrl({ url: image.slice(0), name: 'image.nii.gz', colormap: 'gray', percentileFrac: CUT })
    this.grey = base.img
    darkenBackground(base)
    const over = overlay ? await this.overlayOf(overlay) : null
    while (niivue.volumes.length) niivue.removeVolumeByIndex(niivue.volumes.length - 1)
    niivue.opts.isOrientationTextVisible = !is2d
    this.is2d = is2d
    niivue.addVolume(base)
    this.overlay = over
    if (over) niivue.addVolume(over)
    this.setView(is2d ? 'axial' : view)
    if (keepPlace) niivue.scene.crosshairPos = before as unknown as typeof niivue.scene.crosshairPos
    else this.goToVoxel(overlay && over ? this.summit(over, overlay.kind) : middle(base))
    niivue.createOnLocationChange()
    niivue.drawScene()
  }

  private async overlayOf({ kind, data, classes }: Overlay): Promise<NVImage> {
    const found = await NVImage.loadFromUrl({
      url: data.slice(0), name: `${kind}.nii.gz`, colormap: kind === 'map' ? MAP : 'gray', opacity: this.opacity,
    })
    if (kind === 'labels') {
      const colours = classes.map((_, label) => (label ? labelColour(label) : '#000000'))
      const part = (start: number) => colours.map((colour) => parseInt(colour.slice(start, start + 2), 16))
      const A = colours.map((_, label) => (label ? 255 : 0))
      found.setColormapLabel({ R: part(1), G: part(3), B: part(5), A, I: classes.map((_, label) => label), labels: classes })
      return found
    }
    // Colours run from 0 to the maximum; below half of it they fade with the square of the value.
    found.colormapType = FADES_BELOW_MIN
    found.cal_max = Math.max(found.global_max ?? 0, 1e-9)
    found.cal_min = found.cal_max / 2
    return found
  }

  /** Is the map 0 everywhere? */
  get emptyMap(): boolean {
    return this.overlay !== null && !((this.overlay.global_max ?? 0) > 0)
  }

  /** The voxel of the image where a map is largest, or in the middle of all labelled voxels. */
  private summit(overlay: NVImage, kind: Overlay['kind']): number[] {
    const base = this.niivue.volumes[0]
    const values = overlay.img
    const [, columns, rows] = overlay.dimsRAS ?? [3, 1, 1]
    if (!values) return middle(base)
    let best = -1
    let count = 0
    const sum = [0, 0, 0]
    for (let at = 0; at < values.length; at++) {
      if (!(values[at] > 0)) continue
      if (kind === 'map') {
        if (best < 0 || values[at] > values[best]) best = at
        continue
      }
      count += 1
      sum[0] += at % columns
      sum[1] += Math.floor(at / columns) % rows
      sum[2] += Math.floor(at / (columns * rows))
    }
    if (kind === 'labels' ? !count : best < 0) return middle(base)
    const voxel = kind === 'labels'
      ? sum.map((total) => Math.round(total / count))
      : [best % columns, Math.floor(best / columns) % rows, Math.floor(best / (columns * rows))]
    // The overlay may have a grid of its own, so the way from it to the image leads over mm.
    const mm = overlay.vox2mm(voxel, overlay.matRAS!)
    return [...base.mm2vox([mm[0], mm[1], mm[2]])]
  }

  setView(view: View): void {
    this.view = view
    this.niivue.setSliceType(VIEWS[view])
    this.drawCrosshair()
  }

  setOpacity(share: number): void {
    this.opacity = share
    if (this.overlay) this.niivue.setOpacity(1, share)
  }

  /** Draws the lines through the place that is looked at, or not. */
  setCrosshair(drawn: boolean): void {
    this.crosshair = drawn
    this.drawCrosshair()
  }

  /** Draws it as wide on every screen; NiiVue takes its width in percent of the image's. */
  private drawCrosshair(): void {
    const { clientWidth, clientHeight } = this.canvas
    const shown = Math.min(clientWidth, clientHeight) * SHARE[this.view === 'three' ? 'three' : 'one']
    this.niivue.setCrosshairWidth(this.is2d || !this.crosshair || !shown ? 0 : (100 * CROSSHAIR_PX) / shown)
  }

  /** Moves by slices through a plane: towards feet, back, or the patient's left. */
  step(plane: Plane, slices: number): void {
    const by = [0, 0, 0]
    by[AXIS[plane]] = -slices
    if (this.niivue.volumes.length) this.niivue.moveCrosshairInVox(by[0], by[1], by[2])
  }

  /** Goes to a slice of a plane, counted from 1. */
  goTo(plane: Plane, number: number): void {
    const place = this.place()
    if (place) this.step(plane, number - place.slices[plane].number)
  }

  /** Goes to the axial slice that is nearest to this height. */
  goToHeight(z_mm: number): void {
    const place = this.place()
    if (!place) return
    const voxel = this.niivue.volumes[0].mm2vox([place.mm[0], place.mm[1], z_mm])
    this.goToVoxel([place.voxel[0], place.voxel[1], voxel[2]])
    this.niivue.createOnLocationChange()
    this.niivue.drawScene()
  }

  private goToVoxel(voxel: number[]): void {
    const sizes = this.sizes()
    const inside = voxel.map((at, axis) => Math.min(Math.max(at, 0), sizes[axis] - 1))
    this.niivue.scene.crosshairPos = this.niivue.vox2frac(inside as [number, number, number])
  }

  private sizes(): number[] {
    return (this.niivue.volumes[0].dimsRAS ?? [3, 1, 1, 1]).slice(1, 4)
  }

  /** Where the crosshair is; null while nothing is shown. */
  place(): Place | null {
    const { niivue } = this
    if (!niivue.volumes.length) return null
    const sizes = this.sizes()
    const voxel = [...niivue.frac2vox(niivue.scene.crosshairPos)] as [number, number, number]
    const [x, y, z] = niivue.frac2mm(niivue.scene.crosshairPos, 0, true)
    const slice = (plane: Plane) => ({ number: sizes[AXIS[plane]] - voxel[AXIS[plane]], of: sizes[AXIS[plane]] })
    let overlay: number | null = null
    if (this.overlay) {
      const at = this.overlay.mm2vox([x, y, z])
      overlay = this.overlay.getValue(at[0], at[1], at[2])
    }
    return {
      slices: { axial: slice('axial'), coronal: slice('coronal'), sagittal: slice('sagittal') },
      mm: [x, y, z], voxel, image: this.greyAt(voxel), overlay,
    }
  }

  private greyAt([x, y, z]: [number, number, number]): number {
    const [columns, rows] = this.sizes()
    return this.grey?.[x + columns * (y + rows * z)] ?? NaN
  }

  /** Says to a screen reader what is seen. */
  describe(text: string): void {
    this.canvas.setAttribute('aria-label', text)
  }
}

/** Draws the 0 around a brain that was standardised as dark as its darkest voxel, not as a middle grey. */
function darkenBackground(image: NVImage): void {
  const { img, global_min: least } = image
  if (!img || least === undefined || least >= 0) return
  const shown = img.slice()
  let zeros = 0
  for (let at = 0; at < shown.length; at++) {
    if (shown[at] !== 0) continue
    shown[at] = least
    zeros += 1
  }
  if (zeros > BACKGROUND * shown.length) image.img = shown
}

const middle = (image: NVImage): number[] => (image.dimsRAS ?? [3, 1, 1, 1]).slice(1, 4).map((size) => Math.floor(size / 2))
