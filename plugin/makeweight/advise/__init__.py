"""Which technique to try first, and why: facts are measured, a table of rules with sources is ranked by them."""
