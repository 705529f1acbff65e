BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE archloss_arrays (
	trial_id INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	replicate INTEGER NOT NULL, 
	epochs_done INTEGER NOT NULL, 
	steps INTEGER NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (trial_id, kind, replicate), 
	FOREIGN KEY(trial_id) REFERENCES archloss_trials (trial_id) ON DELETE CASCADE
);
INSERT INTO "archloss_arrays" VALUES(2,'checkpoint',0,3,21,X'80000000000000007B226D6F6D656E74756D223A7B226474797065223A22463634222C227368617065223A5B355D2C22646174615F6F666673657473223A5B302C34305D7D2C22706172616D6574657273223A7B226474797065223A22463332222C227368617065223A5B355D2C22646174615F6F666673657473223A5B34302C36305D7D7D20200000000000000000000000000000D03F000000000000E03F000000000000E83F000000000000F03F000000000000803F000000400000404000008040');
CREATE TABLE archloss_curves (
	trial_id INTEGER NOT NULL, 
	replicate INTEGER NOT NULL, 
	metric VARCHAR(64) NOT NULL, 
	first_epoch INTEGER NOT NULL, 
	epoch_values BLOB NOT NULL, 
	PRIMARY KEY (trial_id, replicate, metric, first_epoch), 
	FOREIGN KEY(trial_id) REFERENCES archloss_trials (trial_id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "archloss_curves" VALUES(1,0,'validation_error',1,X'000000000000E03F000000000000D03F');
CREATE TABLE archloss_leases (
	lease_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	study_id INTEGER NOT NULL, 
	host VARCHAR(512) NOT NULL, 
	pid INTEGER NOT NULL, 
	process_started_s FLOAT NOT NULL, 
	renewed_s FLOAT NOT NULL, 
	closed BOOLEAN NOT NULL, 
	FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE
);
INSERT INTO "archloss_leases" VALUES(1,1,'laptop pid:[4026531836]',28058,1795410614.69,1.79541061725888395315e+09,0);
CREATE TABLE archloss_schema (
	schema_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (schema_id)
);
INSERT INTO "archloss_schema" VALUES(1,1);
CREATE TABLE archloss_studies (
	study_id INTEGER NOT NULL, 
	token VARCHAR(64) NOT NULL, 
	spec TEXT NOT NULL, 
	digest VARCHAR(128) NOT NULL, 
	fingerprint VARCHAR(128) NOT NULL, 
	environment TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	locked_by INTEGER, 
	PRIMARY KEY (study_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE
);
INSERT INTO "archloss_studies" VALUES(1,'d3a60b37dec5f900fe39565ef0f27aab','{}','d','f','{"python": "3"}','2026-11-23 05:10:17.247582',NULL);
CREATE TABLE archloss_tests (
	trial_id INTEGER NOT NULL, 
	replicate INTEGER NOT NULL, 
	metric VARCHAR(64) NOT NULL, 
	metric_value BLOB NOT NULL, 
	PRIMARY KEY (trial_id, replicate, metric), 
	FOREIGN KEY(trial_id) REFERENCES archloss_trials (trial_id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE archloss_trials (
	trial_id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	lease_id INTEGER, 
	outcome VARCHAR(32), 
	message TEXT, 
	seconds FLOAT, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE, 
	FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE
);
INSERT INTO "archloss_trials" VALUES(1,1,NULL,'COMPLETED',NULL,1.5);
INSERT INTO "archloss_trials" VALUES(2,1,NULL,NULL,NULL,0.0);
INSERT INTO "archloss_trials" VALUES(3,1,1,NULL,NULL,NULL);
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'study');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MINIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'archloss:token','"d3a60b37dec5f900fe39565ef0f27aab"');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,2,0.25,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,2,1,0.5,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'depth',28.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 32}}');
INSERT INTO "trial_params" VALUES(2,1,'residual',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [false, true]}}');
INSERT INTO "trial_params" VALUES(3,1,'ce_weight',2.69786713763870311666e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(4,1,'learning_rate',1.32715171253088064446e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(5,1,'mse_on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["probabilities", "logits"]}}');
INSERT INTO "trial_params" VALUES(6,1,'width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(7,2,'depth',6.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 32}}');
INSERT INTO "trial_params" VALUES(8,2,'residual',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [false, true]}}');
INSERT INTO "trial_params" VALUES(9,2,'ce_weight',9.1275557727772171912e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(10,2,'learning_rate',6.60552479805030616499e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(11,2,'mse_on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["probabilities", "logits"]}}');
INSERT INTO "trial_params" VALUES(12,2,'width',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(13,3,'depth',21.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 32}}');
INSERT INTO "trial_params" VALUES(14,3,'residual',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [false, true]}}');
INSERT INTO "trial_params" VALUES(15,3,'ce_weight',9.35072423787768225444e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(16,3,'learning_rate',2.80259706180412959675e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(17,3,'mse_on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["probabilities", "logits"]}}');
INSERT INTO "trial_params" VALUES(18,3,'width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'outcome','"COMPLETED"');
INSERT INTO "trial_user_attributes" VALUES(2,1,'seconds','1.5');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,0.25,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-23 05:10:17.281078','2026-11-23 05:10:17.296229');
INSERT INTO "trials" VALUES(2,1,1,'WAITING','2026-11-23 05:10:17.281078',NULL);
INSERT INTO "trials" VALUES(3,2,1,'RUNNING','2026-11-23 05:10:17.281078',NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE INDEX ix_archloss_leases_study_id ON archloss_leases (study_id);
CREATE INDEX ix_archloss_trials_study_id ON archloss_trials (study_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('archloss_leases',1);
COMMIT;
