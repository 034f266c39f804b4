CALL kw.maintain()
