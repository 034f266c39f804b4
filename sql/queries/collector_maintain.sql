SELECT kw.maintain()
