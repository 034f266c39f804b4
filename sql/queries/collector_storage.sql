SELECT kw.ensure_storage($1::timestamptz, $2::timestamptz)
