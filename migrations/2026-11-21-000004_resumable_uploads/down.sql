DROP TABLE resource_pieces;
DROP TABLE upload_pieces;
DROP TABLE resumable_uploads;
