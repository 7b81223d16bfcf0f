/** Connections at a time: a scrape, some probes and pages. File descriptors for these are set aside. */
export const MAX_CONNECTIONS = 32;
