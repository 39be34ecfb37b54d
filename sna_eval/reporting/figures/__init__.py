"""The figures of the report and the app, one a file, said without a plotting library.

`marks` is the language they are said in; `reporting.in_matplotlib` draws it for pages and files,
`app.ui.in_altair` for the app, where every value can be pointed at.
"""
