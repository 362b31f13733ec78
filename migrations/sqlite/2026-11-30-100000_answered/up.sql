-- Answered requests are listed by when they were answered.
CREATE INDEX dim.access_requests_decided_at ON access_requests (decided_at, id);
