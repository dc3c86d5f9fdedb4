"""One login at one site: its session restored on whatever pod, a full login only where the site asks for one.

Invariant: never two full logins of one login at a time, and after a refusal none before its time.
Invariant: what is stored of a login is encrypted here before it is handed to the `LoginStore`.
Invariant: a use of a login is ended however it ends, and its cookies are kept as they are then.
"""
