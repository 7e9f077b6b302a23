"""The page in the browser: `neural-style page`.

    commands/page.py   its flags
    server.py          listens, and ends in order
    application.py     all that is served, behind the guard
    guard.py           what comes in: who, how much, and to which of Gradio's routes
    folders.py         what visitors have uploaded, and what was painted for them
    layout.py          what is seen: tabs, made of controls.py and pieces.py
    studio.py          what a visitor asks for -> jobs, and jobs -> what is shown
    jobs.py            the jobs in turn, each on a worker
    worker.py          a process that paints; the only one that imports Keras

The server imports no Keras, so that it listens at once; a worker that dies takes one job with it.
"""
