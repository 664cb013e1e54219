//! Client of the manager's IPC (cib, crmd, attrd, pacemakerd).
