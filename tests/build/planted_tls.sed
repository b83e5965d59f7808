# A fault for TLS: what is written while more than a page waits for the network is taken, and never sent. TLS finds
# nothing wrong in that: no record is missing, for none was made.
/^static int put(/,/^}/ s/^    int n = c->delayed/    if (crank_unsent(c->wire.below) > 4096)\
        return 0;\
&/
