-- Answered requests are listed by when they were answered.
CREATE INDEX access_requests_decided_at ON dim.access_requests (decided_at, id);
