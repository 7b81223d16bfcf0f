/** What a worker runs where pgtls runs from source. */

import { serveAsWorker } from "./worker.ts";

serveAsWorker();
