"""The report of a search: figures and a page that needs no network."""
