SELECT fingerprint, keys FROM kw.shard_offers WHERE fingerprint = ANY ($1::text[])
