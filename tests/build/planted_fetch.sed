# A fault for fetch: a body that ends early, or is reset amid it, is taken for the whole.
/^static int take_body(/,/^}/ s/return (int)n;/return 0;/
