DROP INDEX dim.access_requests_decided_at;
