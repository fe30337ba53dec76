"""The course: catalog, stubs, notebooks, a learner's workspace, progress and IPython magics."""
