DROP TABLE application_keys;
DROP TABLE applications;
DROP TABLE registry;
