"""The command `eyas`: one module per verb, loaded when it is asked for. `app.main` is the way in."""
