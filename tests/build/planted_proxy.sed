# A fault for the proxy: what broke on one side is closed on the other, not aborted, so that a torn answer looks whole.
/^        crank_abort(client);$/d
/^        crank_abort(target);$/d
