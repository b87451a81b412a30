// Builds the page into ../static, with fixed file names so that a change shows as a changed file.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

/** Writes the licences of the packages that the built files contain, as these licences ask for. */
function licences() {
  return {
    name: 'licences',
    generateBundle() {
      const folders = new Set()
      for (const id of this.getModuleIds()) {
        const found = id.match(/^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/)
        if (found) folders.add(found[0].replace(/^\0/, ''))
      }
      const texts = [...folders].sort().map((folder) => {
        const about = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
        const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name))
        const own = here(`licences/${about.name.replace('/', '_')}.txt`)
        const text = file ? readFileSync(`${folder}/${file}`, 'utf8') : existsSync(own) ? readFileSync(own, 'utf8') : ''
        return `${about.name} ${about.version} (${about.license})\n\n${text.trim()}`
      })
      this.emitFile({ type: 'asset', fileName: 'licences.txt', source: texts.join('\n\n----\n\n') + '\n' })
    },
  }
}

export default defineConfig({
  base: '/static/',
  plugins: [licences()],
  // NiiVue reads Zarr through zarrita, whose decompressors (WebAssembly) are two thirds of NiiVue's bundle.
  resolve: { alias: { zarrita: here('src/no_zarr.ts') } },
  build: {
    outDir: '../static',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: false,
    chunkSizeWarningLimit: 1000,
    rollupOptions: {
      output: {
        entryFileNames: 'page.js',
        chunkFileNames: '[name].js',
        assetFileNames: (asset) => (asset.names[0]?.endsWith('.css') ? 'page.css' : '[name][extname]'),
      },
    },
  },
})
