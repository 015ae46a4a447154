-- Messages of an org by how they stand: those under way, and those that failed.
CREATE INDEX turns_by_status ON turns (org_id, status, id);
