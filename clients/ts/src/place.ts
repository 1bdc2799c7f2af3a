/** How far a client has come: offsets count within an epoch. */
export interface Place {
  epoch: string
  /** Of the last event; absent if there was none. */
  offset?: number
}

/** Keeps a place beyond the life of a page or a process. */
export interface PlaceStore {
  load(): Place | undefined | Promise<Place | undefined>
  save(place: Place): void
}

/** A place in `localStorage`, `sessionStorage` or whatever has their methods. What cannot be read there is no place. */
export function storedIn(storage: Pick<Storage, 'getItem' | 'setItem'>, key = 'spanlight.place'): PlaceStore {
  return {
    load() {
      try {
        const place: unknown = JSON.parse(storage.getItem(key) ?? 'null')
        return isPlace(place) ? place : undefined
      } catch {
        return undefined
      }
    },
    save(place) {
      storage.setItem(key, JSON.stringify(place))
    },
  }
}

function isPlace(value: unknown): value is Place {
  const place = value as Partial<Place> | null
  return typeof place?.epoch === 'string' && ['number', 'undefined'].includes(typeof place.offset)
}
