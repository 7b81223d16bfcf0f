/** Who a connection is: user and database, the certificate's name, the program. */

import type { Row } from "./rows.ts";

/** What is known so far. All of it comes from the client: it is shown as text, and one line is one line. */
export function Who({ row }: { row: Row }) {
  const { user, database, applicationName, clientTls } = row;
  return (
    <span class="who">
      {user === null ? <span class="muted">not logged in</span> : (
        <span class="user">
          <b>{user}</b> on {database}
        </span>
      )}
      {clientTls?.certName && <span class="second mono cert clip">{clientTls.certName}</span>}
      {applicationName && <span class="second clip">{applicationName}</span>}
    </span>
  );
}
