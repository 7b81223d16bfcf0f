/** A set that tells its size to somebody at every change. */

export class CountedSet<Value> extends Set<Value> {
  readonly #tell: (size: number) => void;

  constructor(tell: (size: number) => void) {
    super();
    this.#tell = tell;
  }

  override add(value: Value): this {
    super.add(value);
    this.#tell(this.size);
    return this;
  }

  override delete(value: Value): boolean {
    const isDeleted = super.delete(value);
    this.#tell(this.size);
    return isDeleted;
  }
}
