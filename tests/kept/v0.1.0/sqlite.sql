PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES('0010');
CREATE TABLE chain (
	id INTEGER NOT NULL, 
	first INTEGER NOT NULL, 
	"before" VARCHAR(64) NOT NULL, 
	last INTEGER NOT NULL, 
	head VARCHAR(64) NOT NULL, 
	notified INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_chain PRIMARY KEY (id)
);
INSERT INTO chain VALUES(1,1,'0000000000000000000000000000000000000000000000000000000000000000',31,'c12a3c92e8841f9f46a136a28f1733228fbb1774d89a32db8de6cd6be86de015',31);
CREATE TABLE decisions (
	incident INTEGER NOT NULL, 
	decider VARCHAR(64) NOT NULL, 
	entry VARCHAR(64), 
	reason TEXT NOT NULL, 
	"values" JSON NOT NULL, 
	cited JSON NOT NULL, 
	confidence JSON NOT NULL, 
	alternatives JSON NOT NULL, hosts JSON, 
	CONSTRAINT pk_decisions PRIMARY KEY (incident, decider)
);
INSERT INTO decisions VALUES(1,'rules','cools','cools fits by alertname="Cools".','{}','[]',1,'[]','[]');
INSERT INTO decisions VALUES(2,'rules','cools','cools fits by alertname="Cools".','{}','[]',1,'[]','[]');
INSERT INTO decisions VALUES(3,'rules','asks','asks fits by alertname="Asks".','{}','[]',1,'[]','[]');
INSERT INTO decisions VALUES(4,'rules','runs','runs fits by alertname="Runs".','{}','[]',1,'[]','[]');
CREATE TABLE deliveries (
	id INTEGER NOT NULL, 
	received_at DATETIME NOT NULL, 
	source VARCHAR(16) NOT NULL, 
	ceiling VARCHAR(16) NOT NULL, 
	body BLOB NOT NULL, 
	alerts INTEGER NOT NULL, 
	admitted INTEGER DEFAULT '0' NOT NULL, 
	done BOOLEAN DEFAULT (false) NOT NULL, sender TEXT, place TEXT, urgency INTEGER, 
	CONSTRAINT pk_deliveries PRIMARY KEY (id)
);
INSERT INTO deliveries VALUES(1,'2026-11-30 12:41:31.963678','webhook','auto',X'7b2276657273696f6e223a202234222c202267726f75704b6579223a20227b7d3a7b7d222c20227265636569766572223a202272756e6e6572222c2022737461747573223a2022666972696e67222c202267726f75704c6162656c73223a207b7d2c2022636f6d6d6f6e4c6162656c73223a207b7d2c2022636f6d6d6f6e416e6e6f746174696f6e73223a207b7d2c202265787465726e616c55524c223a2022222c20227472756e6361746564416c65727473223a20302c2022616c65727473223a205b7b22737461747573223a2022666972696e67222c20226c6162656c73223a207b22616c6572746e616d65223a2022436f6f6c73222c2022696e7374616e6365223a20226462313a39313030222c202273657276696365223a202273686f70222c20226e223a202231227d2c2022616e6e6f746174696f6e73223a207b7d2c20227374617274734174223a2022323032362d31312d33305431323a34313a33312e3936333539302b30303a3030222c2022656e64734174223a2022303030312d30312d30315430303a30303a30305a222c202267656e657261746f7255524c223a2022222c202266696e6765727072696e74223a2022227d5d7d',1,1,1,NULL,'db1',0);
INSERT INTO deliveries VALUES(2,'2026-11-30 12:41:48.474429','webhook','auto',X'7b2276657273696f6e223a202234222c202267726f75704b6579223a20227b7d3a7b7d222c20227265636569766572223a202272756e6e6572222c2022737461747573223a2022666972696e67222c202267726f75704c6162656c73223a207b7d2c2022636f6d6d6f6e4c6162656c73223a207b7d2c2022636f6d6d6f6e416e6e6f746174696f6e73223a207b7d2c202265787465726e616c55524c223a2022222c20227472756e6361746564416c65727473223a20302c2022616c65727473223a205b7b22737461747573223a2022666972696e67222c20226c6162656c73223a207b22616c6572746e616d65223a2022436f6f6c73222c2022696e7374616e6365223a20226462313a39313030222c202273657276696365223a202273686f70222c20226e223a202232227d2c2022616e6e6f746174696f6e73223a207b7d2c20227374617274734174223a2022323032362d31312d33305431323a34313a34382e3437343336392b30303a3030222c2022656e64734174223a2022303030312d30312d30315430303a30303a30305a222c202267656e657261746f7255524c223a2022222c202266696e6765727072696e74223a2022227d5d7d',1,1,1,NULL,'db1',0);
INSERT INTO deliveries VALUES(3,'2026-11-30 12:41:49.306687','webhook','auto',X'7b2276657273696f6e223a202234222c202267726f75704b6579223a20227b7d3a7b7d222c20227265636569766572223a202272756e6e6572222c2022737461747573223a2022666972696e67222c202267726f75704c6162656c73223a207b7d2c2022636f6d6d6f6e4c6162656c73223a207b7d2c2022636f6d6d6f6e416e6e6f746174696f6e73223a207b7d2c202265787465726e616c55524c223a2022222c20227472756e6361746564416c65727473223a20302c2022616c65727473223a205b7b22737461747573223a2022666972696e67222c20226c6162656c73223a207b22616c6572746e616d65223a202241736b73222c2022696e7374616e6365223a2022776562313a39313030222c202273657276696365223a202273686f70227d2c2022616e6e6f746174696f6e73223a207b7d2c20227374617274734174223a2022323032362d31312d33305431323a34313a34392e3330363633332b30303a3030222c2022656e64734174223a2022303030312d30312d30315430303a30303a30305a222c202267656e657261746f7255524c223a2022222c202266696e6765727072696e74223a2022227d5d7d',1,1,1,NULL,'web1',0);
INSERT INTO deliveries VALUES(4,'2026-11-30 12:41:56.434998','webhook','auto',X'7b2276657273696f6e223a202234222c202267726f75704b6579223a20227b7d3a7b7d222c20227265636569766572223a202272756e6e6572222c2022737461747573223a2022666972696e67222c202267726f75704c6162656c73223a207b7d2c2022636f6d6d6f6e4c6162656c73223a207b7d2c2022636f6d6d6f6e416e6e6f746174696f6e73223a207b7d2c202265787465726e616c55524c223a2022222c20227472756e6361746564416c65727473223a20302c2022616c65727473223a205b7b22737461747573223a2022666972696e67222c20226c6162656c73223a207b22616c6572746e616d65223a202252756e73222c2022696e7374616e6365223a2022776562323a39313030222c202273657276696365223a202273686f70227d2c2022616e6e6f746174696f6e73223a207b7d2c20227374617274734174223a2022323032362d31312d33305431323a34313a35362e3433343933362b30303a3030222c2022656e64734174223a2022303030312d30312d30315430303a30303a30305a222c202267656e657261746f7255524c223a2022222c202266696e6765727072696e74223a2022227d5d7d',1,1,1,NULL,'web2',0);
CREATE TABLE evidence (
	incident INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	source TEXT NOT NULL, 
	title TEXT NOT NULL, 
	text TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_evidence PRIMARY KEY (incident, number)
);
INSERT INTO evidence VALUES(1,1,'alert','webhook','Alert Cools',replace('status: firing, since 2026-11-30 12:41:31 UTC\nlabel alertname: Cools\nlabel instance: db1:9100\nlabel n: 1\nlabel service: shop','\n',char(10)),'2026-11-30 12:41:37.983646');
INSERT INTO evidence VALUES(1,2,'inventory','inventory','Hosts','db1 is in ungrouped','2026-11-30 12:41:37.983646');
INSERT INTO evidence VALUES(1,3,'history','incidents','Similar incidents','no similar incident is on record','2026-11-30 12:41:37.983646');
INSERT INTO evidence VALUES(1,4,'runbook','README.md','Runbook of cools','Meaning: A line is written.','2026-11-30 12:41:37.983646');
INSERT INTO evidence VALUES(2,1,'alert','webhook','Alert Cools',replace('status: firing, since 2026-11-30 12:41:48 UTC\nlabel alertname: Cools\nlabel instance: db1:9100\nlabel n: 2\nlabel service: shop','\n',char(10)),'2026-11-30 12:41:49.157951');
INSERT INTO evidence VALUES(2,2,'inventory','inventory','Hosts','db1 is in ungrouped','2026-11-30 12:41:49.157951');
INSERT INTO evidence VALUES(2,3,'history','incidents','Similar incidents','#1, 0s ago, Cools: cools on db1, fixed: Fixed: every check held for 0s, 0s after the run.','2026-11-30 12:41:49.157951');
INSERT INTO evidence VALUES(2,4,'runbook','README.md','Runbook of cools','Meaning: A line is written.','2026-11-30 12:41:49.157951');
INSERT INTO evidence VALUES(3,1,'alert','webhook','Alert Asks',replace('status: firing, since 2026-11-30 12:41:49 UTC\nlabel alertname: Asks\nlabel instance: web1:9100\nlabel service: shop','\n',char(10)),'2026-11-30 12:41:50.107399');
INSERT INTO evidence VALUES(3,2,'inventory','inventory','Hosts','web1 is in ungrouped','2026-11-30 12:41:50.107399');
INSERT INTO evidence VALUES(3,3,'history','incidents','Similar incidents','#1, 0s ago, Cools: cools on db1, fixed: Fixed: every check held for 0s, 0s after the run.','2026-11-30 12:41:50.107399');
INSERT INTO evidence VALUES(3,4,'runbook','README.md','Runbook of asks','Meaning: A line is written.','2026-11-30 12:41:50.107399');
INSERT INTO evidence VALUES(4,1,'alert','webhook','Alert Runs',replace('status: firing, since 2026-11-30 12:41:56 UTC\nlabel alertname: Runs\nlabel instance: web2:9100\nlabel service: shop','\n',char(10)),'2026-11-30 12:41:57.301834');
INSERT INTO evidence VALUES(4,2,'inventory','inventory','Hosts',replace('web2 is in ungrouped\n  runner_depends_on: [''db1'']','\n',char(10)),'2026-11-30 12:41:57.301834');
INSERT INTO evidence VALUES(4,3,'history','incidents','Similar incidents','#1, 0s ago, Cools: cools on db1, fixed: Fixed: every check held for 0s, 0s after the run.','2026-11-30 12:41:57.301834');
INSERT INTO evidence VALUES(4,4,'runbook','README.md','Runbook of runs','Meaning: A line is written.','2026-11-30 12:41:57.301834');
CREATE TABLE incidents (
	id INTEGER NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	activation DATETIME NOT NULL, 
	alertname TEXT NOT NULL, 
	alert JSON NOT NULL, 
	firing BOOLEAN NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	environment TEXT NOT NULL, 
	ceiling VARCHAR(16) NOT NULL, 
	requested_by TEXT, 
	request JSON, 
	hosts JSON NOT NULL, 
	entry VARCHAR(64), 
	level VARCHAR(16), 
	joined INTEGER, 
	deliveries INTEGER DEFAULT '1' NOT NULL, 
	delivery INTEGER, 
	cancel_requested BOOLEAN DEFAULT (false) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, chosen JSON, cleared_at DATETIME, holds INTEGER DEFAULT '0' NOT NULL, held_since DATETIME, held_until DATETIME, sender TEXT, woken_at DATETIME, 
	CONSTRAINT pk_incidents PRIMARY KEY (id), 
	CONSTRAINT uq_incidents_fingerprint_activation UNIQUE (fingerprint, activation)
);
INSERT INTO incidents VALUES(1,'2f1fbb7206e05c98','2026-11-30 12:41:36.612341','Cools','{"fingerprint": "2f1fbb7206e05c98", "status": "firing", "labels": {"alertname": "Cools", "instance": "db1:9100", "service": "shop", "n": "1"}, "annotations": {}, "starts_at": "2026-11-30T12:41:31.963000+00:00", "ends_at": null, "generator_url": "", "receiver": "runner", "source": "webhook", "undated": false, "late": false, "contradictions": [], "notes": []}',1,'fixed','Fixed: every check held for 0s, 0s after the run.','test','auto',NULL,'null','["db1"]','cools','auto',NULL,1,1,0,'2026-11-30 12:41:36.612341','2026-11-30 12:41:48.268801','{}',NULL,0,NULL,NULL,NULL,NULL);
INSERT INTO incidents VALUES(2,'6f95898c6a20a459','2026-11-30 12:41:48.769875','Cools','{"fingerprint": "6f95898c6a20a459", "status": "firing", "labels": {"alertname": "Cools", "instance": "db1:9100", "service": "shop", "n": "2"}, "annotations": {}, "starts_at": "2026-11-30T12:41:48.474000+00:00", "ends_at": null, "generator_url": "", "receiver": "runner", "source": "webhook", "undated": false, "late": false, "contradictions": [], "notes": []}',1,'held','held until 2026-11-30 13:11:44 UTC: level observe: cools ran on db1 4s ago, needs 30m between runs.','test','auto',NULL,'null','["db1"]','cools','observe',NULL,1,2,0,'2026-11-30 12:41:48.769875','2026-11-30 12:41:49.229546','{}',NULL,1,'2026-11-30 12:41:49.228956','2026-11-30 13:11:44.613521',NULL,NULL);
INSERT INTO incidents VALUES(3,'b5e97828aacb66c7','2026-11-30 12:41:49.823084','Asks','{"fingerprint": "b5e97828aacb66c7", "status": "firing", "labels": {"alertname": "Asks", "instance": "web1:9100", "service": "shop"}, "annotations": {}, "starts_at": "2026-11-30T12:41:49.306000+00:00", "ends_at": null, "generator_url": "", "receiver": "runner", "source": "webhook", "undated": false, "late": false, "contradictions": [], "notes": []}',1,'waiting','approval 1: asks on web1: 1 host in no group','test','auto',NULL,'null','["web1"]','asks','approve',NULL,1,3,0,'2026-11-30 12:41:49.823084','2026-11-30 12:41:56.359115','{}',NULL,0,NULL,NULL,NULL,NULL);
INSERT INTO incidents VALUES(4,'607f99cdd4ce7064','2026-11-30 12:41:56.874245','Runs','{"fingerprint": "607f99cdd4ce7064", "status": "firing", "labels": {"alertname": "Runs", "instance": "web2:9100", "service": "shop"}, "annotations": {}, "starts_at": "2026-11-30T12:41:56.434000+00:00", "ends_at": null, "generator_url": "", "receiver": "runner", "source": "webhook", "undated": false, "late": false, "contradictions": [], "notes": []}',1,'running','runs on web2, attempt 1','test','auto',NULL,'null','["web2"]','runs','auto',NULL,1,4,0,'2026-11-30 12:41:56.874245','2026-11-30 12:41:57.488217','{}',NULL,0,NULL,NULL,NULL,NULL);
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	transition INTEGER NOT NULL, 
	receiver TEXT NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	due_at DATETIME NOT NULL, 
	sent_at DATETIME, 
	failed TEXT, digest INTEGER, 
	CONSTRAINT pk_outbox PRIMARY KEY (id), 
	CONSTRAINT uq_outbox_transition_receiver UNIQUE (transition, receiver)
);
CREATE TABLE plans (
	incident INTEGER NOT NULL, 
	entry VARCHAR(64) NOT NULL, 
	hosts JSON NOT NULL, 
	delegates JSON NOT NULL, 
	variables JSON NOT NULL, 
	content VARCHAR(64) NOT NULL, 
	diff VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, files JSON, inventory JSON, places JSON, steps JSON, loaded JSON, uncovered JSON, "key" VARCHAR(32), 
	CONSTRAINT pk_plans PRIMARY KEY (incident)
);
INSERT INTO plans VALUES(1,'cools','["db1"]','[]','{"mark_text": "shop"}','11c2624769ba23982278033bad9ec331e721f71ea832e180dc4cee9e36232ce1','b46ea58c7f2879d3b1330088feae38b362a6b85598529df7fdb32b525ea2a76e','a227f66c6b8c6814db706cb3dd9e496b650c2481b75082c0a395efc4c47f92a8','{"playbooks/cools/entry.yml": "472848e7a5e0ea13a5f1eba355b91d2014cf8e6c0c6ea134f4011f4d90f88a53", "playbooks/cools/playbook.yml": "cc65a391e6e562de6d83f48a4156ec8e17fbb4963c55da8928258cebc0db88eb", "roles/mark/meta/argument_specs.yml": "c7f91498a737ccedfc5f78ba6e07df7c0205f3ca9b7e439a4157d1ad5efc6964", "roles/mark/tasks/main.yml": "204b817963d6b889659f1e2076d2702a92345fdcc1a3b61aae7bc51eae0f93fd"}','{"db1": {"ansible_connection": "39dd351a80b74d66", "ansible_python_interpreter": "5f89063c1fa678f4"}}','{}','[]','{"ansible-core": "2.19.14", "jinja2": "3.1.6"}','[]','07eb8f07b4df6d59d267d658e47a866a');
INSERT INTO plans VALUES(3,'asks','["web1"]','[]','{"mark_text": "shop"}','698d48969b981be8ded862d61dc5e31ae9f80f7c2dcfd26bd0a302b1588ccfea','ffe0ad14d7e70cc3e283313d7f3358608a2944ba0fe44b2e2e56dc5ff315e84e','0069a1c4e72f6f41ec311a324cd288b0b31ce889436b3319fa80f120caa3f8c2','{"playbooks/asks/entry.yml": "4a3f49eb08f3cbdbfcac035813c6ddfc4f21adc66ca2cb2820cf573b6efcde49", "playbooks/asks/playbook.yml": "cc65a391e6e562de6d83f48a4156ec8e17fbb4963c55da8928258cebc0db88eb", "roles/mark/meta/argument_specs.yml": "c7f91498a737ccedfc5f78ba6e07df7c0205f3ca9b7e439a4157d1ad5efc6964", "roles/mark/tasks/main.yml": "204b817963d6b889659f1e2076d2702a92345fdcc1a3b61aae7bc51eae0f93fd"}','{"web1": {"ansible_connection": "aa2c6af5684a676d", "ansible_python_interpreter": "170e4df064e1a135"}}','{}','[]','{"ansible-core": "2.19.14", "jinja2": "3.1.6"}','[]','7c78d2b91b2de440d8f2809ed56e04d8');
INSERT INTO plans VALUES(4,'runs','["web2"]','[]','{"mark_text": "shop"}','3ee0956cb9fa12548cd02f9f24037cb4b9e027fa9cc52e8367ad909c2af9347f','','26950eaedea8e2edd8a0167352a570240911515b8a606ff2d2d1f022dcc8e4bd','{"playbooks/runs/entry.yml": "72d07eef0ad86f4cd1e15ddbfe6d47970a878c9c965bdd6b468fb5c6dc765886", "playbooks/runs/playbook.yml": "cc65a391e6e562de6d83f48a4156ec8e17fbb4963c55da8928258cebc0db88eb", "roles/mark/meta/argument_specs.yml": "c7f91498a737ccedfc5f78ba6e07df7c0205f3ca9b7e439a4157d1ad5efc6964", "roles/mark/tasks/main.yml": "204b817963d6b889659f1e2076d2702a92345fdcc1a3b61aae7bc51eae0f93fd"}','{"web2": {"ansible_connection": "c39d6b20ecc11b0b", "ansible_python_interpreter": "7c98c8390d027591"}}','{}','[]','{"ansible-core": "2.19.14", "jinja2": "3.1.6"}','[]','4b26302b143e2e5312e9186dac1e5938');
CREATE TABLE switches (
	name VARCHAR(32) NOT NULL, 
	reason TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_switches PRIMARY KEY (name)
);
CREATE TABLE transitions (
	sequence INTEGER NOT NULL, 
	incident INTEGER, 
	at DATETIME NOT NULL, 
	actor TEXT NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	previous VARCHAR(32), 
	reason TEXT NOT NULL, 
	detail JSON NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_transitions PRIMARY KEY (sequence)
);
INSERT INTO transitions VALUES(1,1,'2026-11-30 12:41:36.612341','runner','admitted',NULL,'Cools is firing (received from webhook)','{"alert": "Cools", "source": "webhook"}','e83058a1619a2ef85c30176ca037c8132f47d3d223e2a2f9bd1fd2113aca10c3');
INSERT INTO transitions VALUES(2,1,'2026-11-30 12:41:37.951097','runner','located','admitted','db1 is the inventory host of instance="db1:9100", by its name.','{}','6016878357b618ffe10eff1770647bbf6ea898d2a524686a2dc007d8102d23b2');
INSERT INTO transitions VALUES(3,1,'2026-11-30 12:41:38.043418','runner','gathered','located','4 items of evidence','{}','3923065588a0d8f59c4f385db0fdaaa842b1f991d60572b6bc0bdf854c285eca');
INSERT INTO transitions VALUES(4,1,'2026-11-30 12:41:38.086421','runner','decided','gathered','cools fits by alertname="Cools".','{"entry": "cools", "decider": "rules"}','832674efe4b547e7734a008aa260594d2e5cf7b487499dbeae9c97833120425c');
INSERT INTO transitions VALUES(5,1,'2026-11-30 12:41:38.146740','runner','judged','decided','level auto: nothing holds it back','{}','d5933137d20e22c7dc890a42a7c2fff59e8c42af7ebf1b51070cc9833368f0ac');
INSERT INTO transitions VALUES(6,1,'2026-11-30 12:41:44.514263','runner','rehearsed','judged','check mode ended changed, 50% of 2 changes shown: 1 task changed db1; not shown: mark : Count the run','{"plan": "a227f66c6b8c6814db706cb3dd9e496b650c2481b75082c0a395efc4c47f92a8", "outcome": "changed", "passed_over": []}','321240ad8d4d71eb261262573e7f921c77ea78ffc584a126cf764f573dae46ac');
INSERT INTO transitions VALUES(7,1,'2026-11-30 12:41:44.534299','runner','approved','rehearsed','level auto: no person is asked','{}','c485bfa1ac0c98021eebd1a287788e79ddd90bc3b9c8e8cdfb6b005259febafd');
INSERT INTO transitions VALUES(8,1,'2026-11-30 12:41:44.615091','runner','running','approved','cools on db1, attempt 1','{}','fa922078ad039a5f41c269fed50a621e4cfdeda17918f1aa42dc673255a63f74');
INSERT INTO transitions VALUES(9,1,'2026-11-30 12:41:48.199606','runner','verifying','running','cools ended changed: 2 tasks changed db1','{"run": "7d2b2a0d3aa3407f884e9ef2ae90e519", "outcome": "changed"}','7f924290d0c2649e1b67341b6ae6ac4d4dc372f2b359f9bd1aab5bd2e8766bd6');
INSERT INTO transitions VALUES(10,1,'2026-11-30 12:41:48.269180','runner','fixed','verifying','Fixed: every check held for 0s, 0s after the run.','{"run": "7d2b2a0d3aa3407f884e9ef2ae90e519"}','7b86a6c2aec21a700900adabe455a2a569c54f24fb2ee48558707e58e74f5408');
INSERT INTO transitions VALUES(11,2,'2026-11-30 12:41:48.769875','runner','admitted',NULL,'Cools is firing (received from webhook)','{"alert": "Cools", "source": "webhook"}','09251da95402f678d5ac0671a8f12456c390924837f118fb3aba39e899862c3b');
INSERT INTO transitions VALUES(12,2,'2026-11-30 12:41:49.131090','runner','located','admitted','db1 is the inventory host of instance="db1:9100", by its name.','{}','c701e96d8e1d55294837eb28d64bd2c908f0593767edf8ad8337c51ffb641b19');
INSERT INTO transitions VALUES(13,2,'2026-11-30 12:41:49.163281','runner','gathered','located','4 items of evidence','{}','d36ac72835daca2cd44d001ce19a874ee599317ae20ba4ede46ff5d3b7ff8db2');
INSERT INTO transitions VALUES(14,2,'2026-11-30 12:41:49.189606','runner','decided','gathered','cools fits by alertname="Cools".','{"entry": "cools", "decider": "rules"}','f99e4cb9b70772c550f783f1788caa06d61bf31a20343ee44a0f33b36f0a7b61');
INSERT INTO transitions VALUES(15,2,'2026-11-30 12:41:49.228560','runner','judged','decided','level observe: cools ran on db1 4s ago, needs 30m between runs.','{}','ad58f5ab871486e5ddc751466a31d875a46811211510da6aa350130f5c79dd29');
INSERT INTO transitions VALUES(16,2,'2026-11-30 12:41:49.230168','runner','held','judged','held until 2026-11-30 13:11:44 UTC: level observe: cools ran on db1 4s ago, needs 30m between runs.','{}','448a97d40eab20bab048f08af943b1a134dbf383bf50f66756a4b11ce7da8d4c');
INSERT INTO transitions VALUES(17,3,'2026-11-30 12:41:49.823084','runner','admitted',NULL,'Asks is firing (received from webhook)','{"alert": "Asks", "source": "webhook"}','92010adf042eba2f767e4614dcd3f14d543ec909e6e557977100c29eb4608d18');
INSERT INTO transitions VALUES(18,3,'2026-11-30 12:41:50.089065','runner','located','admitted','web1 is the inventory host of instance="web1:9100", by its name.','{}','4fc179cb4b2d1b301aaeb4ae5c41a7dac713bf20dbc6ad8f94cf1f5b15f42933');
INSERT INTO transitions VALUES(19,3,'2026-11-30 12:41:50.121521','runner','gathered','located','4 items of evidence','{}','b265808e0e26e0bf7399b83fd7df9ccb5a66ae9537ce3182223e3a823d231c35');
INSERT INTO transitions VALUES(20,3,'2026-11-30 12:41:50.147386','runner','decided','gathered','asks fits by alertname="Asks".','{"entry": "asks", "decider": "rules"}','7cbafd33fa81d777fbea1112eba1e0b0dc4651606679a34aa073423bbc130e3e');
INSERT INTO transitions VALUES(21,3,'2026-11-30 12:41:50.178790','runner','judged','decided','level approve: Entry asks allows approve.','{}','eab8c1466649ab07f9f463ba784abc7dd6e8d4412853b489193403460ae24cb0');
INSERT INTO transitions VALUES(22,3,'2026-11-30 12:41:56.322195','runner','rehearsed','judged','check mode ended changed, 50% of 2 changes shown: 1 task changed web1; not shown: mark : Count the run','{"plan": "0069a1c4e72f6f41ec311a324cd288b0b31ce889436b3319fa80f120caa3f8c2", "outcome": "changed", "passed_over": []}','2bda33ec2706bb74fa598972d19147103ce367b294d727aa6007e5cae9696727');
INSERT INTO transitions VALUES(23,3,'2026-11-30 12:41:56.359570','runner','waiting','rehearsed','approval 1: asks on web1: 1 host in no group','{"approval": 1, "plan": "0069a1c4e72f6f41ec311a324cd288b0b31ce889436b3319fa80f120caa3f8c2"}','3139bb5c182454afb546fa5980d25bc7f3d03ce7bd6bbb8b0b0a936525d6abb3');
INSERT INTO transitions VALUES(24,4,'2026-11-30 12:41:56.874245','runner','admitted',NULL,'Runs is firing (received from webhook)','{"alert": "Runs", "source": "webhook"}','4f24bbc8fd35f51e13880eab52fbc03d748a3ae5ad3abd125bdd1a08b0defdb8');
INSERT INTO transitions VALUES(25,4,'2026-11-30 12:41:57.283152','runner','located','admitted','web2 is the inventory host of instance="web2:9100", by its name.','{}','be1c61b9b3ee36667a03e0ca542ff4bcf8bd6f27f5fb6c0a9ab40760758ce844');
INSERT INTO transitions VALUES(26,4,'2026-11-30 12:41:57.317820','runner','gathered','located','4 items of evidence','{}','c9351909884356e86ee527c4bf2328a78ab58687c8f0bca5bb9ca9a53e0cfc1d');
INSERT INTO transitions VALUES(27,4,'2026-11-30 12:41:57.331659','runner','decided','gathered','runs fits by alertname="Runs".','{"entry": "runs", "decider": "rules"}','ea792f95011eab0a06c33f42bf4ed2e039bf5f7aabbdbaf6e2352f33d5ff6143');
INSERT INTO transitions VALUES(28,4,'2026-11-30 12:41:57.357140','runner','judged','decided','level auto: nothing holds it back','{}','07818c179d179e9822531cbffb643dad663874b11d1d316075b116fe64e50e8c');
INSERT INTO transitions VALUES(29,4,'2026-11-30 12:41:57.395372','runner','rehearsed','judged','no rehearsal: the entry''s README says why','{"plan": "26950eaedea8e2edd8a0167352a570240911515b8a606ff2d2d1f022dcc8e4bd", "outcome": null, "passed_over": []}','6da403a8753c9da9606b64f0f9eeedb264d2c5e247fcc29651bd5b8b812cb959');
INSERT INTO transitions VALUES(30,4,'2026-11-30 12:41:57.410674','runner','approved','rehearsed','level auto: no person is asked','{}','26ce090df050051a72a2e4cdb63c95f9a5ff115fac01e463afdb354d3c3378ee');
INSERT INTO transitions VALUES(31,4,'2026-11-30 12:41:57.488708','runner','running','approved','runs on web2, attempt 1','{}','c12a3c92e8841f9f46a136a28f1733228fbb1774d89a32db8de6cd6be86de015');
CREATE TABLE verdicts (
	incident INTEGER NOT NULL, 
	level VARCHAR(16) NOT NULL, 
	reasons JSON NOT NULL, 
	CONSTRAINT pk_verdicts PRIMARY KEY (incident)
);
INSERT INTO verdicts VALUES(1,'auto','[{"rule": "configuration", "level": "auto", "text": "runner.yml allows auto for everything."}, {"rule": "command_line", "level": "auto", "text": "The command line or source allows auto."}, {"rule": "hosts", "level": "auto", "text": "No host within reach sets runner_level, so the inventory allows auto."}, {"rule": "entry", "level": "auto", "text": "Entry cools allows auto."}]');
INSERT INTO verdicts VALUES(2,'observe','[{"rule": "configuration", "level": "auto", "text": "runner.yml allows auto for everything."}, {"rule": "command_line", "level": "auto", "text": "The command line or source allows auto."}, {"rule": "hosts", "level": "auto", "text": "No host within reach sets runner_level, so the inventory allows auto."}, {"rule": "entry", "level": "auto", "text": "Entry cools allows auto."}, {"rule": "cooldown", "level": "observe", "text": "cools ran on db1 4s ago, needs 30m between runs."}]');
INSERT INTO verdicts VALUES(3,'approve','[{"rule": "configuration", "level": "auto", "text": "runner.yml allows auto for everything."}, {"rule": "command_line", "level": "auto", "text": "The command line or source allows auto."}, {"rule": "hosts", "level": "auto", "text": "No host within reach sets runner_level, so the inventory allows auto."}, {"rule": "entry", "level": "approve", "text": "Entry asks allows approve."}]');
INSERT INTO verdicts VALUES(4,'auto','[{"rule": "configuration", "level": "auto", "text": "runner.yml allows auto for everything."}, {"rule": "command_line", "level": "auto", "text": "The command line or source allows auto."}, {"rule": "hosts", "level": "auto", "text": "No host within reach sets runner_level, so the inventory allows auto."}, {"rule": "entry", "level": "auto", "text": "Entry runs allows auto."}]');
CREATE TABLE verifications (
	run VARCHAR(32) NOT NULL, 
	incident INTEGER NOT NULL, 
	result VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	checks JSON NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_verifications PRIMARY KEY (run)
);
INSERT INTO verifications VALUES('7d2b2a0d3aa3407f884e9ef2ae90e519',1,'fixed','Fixed: every check held for 0s, 0s after the run.','[{"kind": "result", "target": "marked", "result": "fixed", "seen": "the play reported it"}]','2026-11-30 12:41:48.257250');
CREATE TABLE workers (
	id VARCHAR(64) NOT NULL, 
	host TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	beat_at DATETIME NOT NULL, 
	dead_at DATETIME, 
	CONSTRAINT pk_workers PRIMARY KEY (id)
);
INSERT INTO workers VALUES('single','vm','2026-11-30 12:41:36.354094','2026-11-30 12:42:01.605258',NULL);
CREATE TABLE host_locks (
	host VARCHAR(255) NOT NULL, 
	run VARCHAR(32) NOT NULL, 
	taken_at DATETIME NOT NULL, 
	CONSTRAINT pk_host_locks PRIMARY KEY (host), 
	CONSTRAINT fk_host_locks_run FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO host_locks VALUES('web2','d80a9ea619614726911a26c3f77fca28','2026-11-30 12:41:57.480376');
CREATE TABLE model_calls (
	id INTEGER NOT NULL, 
	incident INTEGER, 
	at DATETIME NOT NULL, 
	round VARCHAR(16) NOT NULL, 
	provider VARCHAR(32) NOT NULL, 
	model TEXT NOT NULL, 
	version TEXT DEFAULT '' NOT NULL, 
	prompt_hash VARCHAR(64) NOT NULL, 
	question VARCHAR(64) NOT NULL, 
	prompt TEXT NOT NULL, 
	answer TEXT DEFAULT '' NOT NULL, 
	failure VARCHAR(24), 
	detail TEXT DEFAULT '' NOT NULL, 
	input_tokens INTEGER DEFAULT '0' NOT NULL, 
	output_tokens INTEGER DEFAULT '0' NOT NULL, 
	money FLOAT DEFAULT '0' NOT NULL, 
	seconds FLOAT DEFAULT '0' NOT NULL, 
	requests INTEGER DEFAULT '0' NOT NULL, 
	finish TEXT DEFAULT '' NOT NULL, 
	reused INTEGER, 
	CONSTRAINT pk_model_calls PRIMARY KEY (id)
);
CREATE TABLE blast_radii (
	incident INTEGER NOT NULL, 
	radius JSON NOT NULL, 
	CONSTRAINT pk_blast_radii PRIMARY KEY (incident)
);
INSERT INTO blast_radii VALUES(1,'{"hosts": ["db1"], "delegates": [], "groups": [], "domains": [], "unknown": [], "health": false}');
INSERT INTO blast_radii VALUES(2,'{"hosts": ["db1"], "delegates": [], "groups": [], "domains": [], "unknown": [], "health": false}');
INSERT INTO blast_radii VALUES(3,'{"hosts": ["web1"], "delegates": [], "groups": [], "domains": [], "unknown": [], "health": false}');
INSERT INTO blast_radii VALUES(4,'{"hosts": ["web2"], "delegates": [], "groups": [], "domains": [], "unknown": [], "health": false}');
CREATE TABLE feedback (
	id INTEGER NOT NULL, 
	incident INTEGER NOT NULL, 
	"right" BOOLEAN NOT NULL, 
	"by" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_feedback PRIMARY KEY (id)
);
CREATE TABLE autonomy_settings (
	id INTEGER NOT NULL, 
	entry VARCHAR(64) NOT NULL, 
	alertname TEXT NOT NULL, 
	environment TEXT NOT NULL, 
	level VARCHAR(16) NOT NULL, 
	hold BOOLEAN NOT NULL, 
	"by" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_autonomy_settings PRIMARY KEY (id)
);
CREATE TABLE autonomy_noted (
	entry VARCHAR(64) NOT NULL, 
	alertname TEXT NOT NULL, 
	environment TEXT NOT NULL, 
	level VARCHAR(16) NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_autonomy_noted PRIMARY KEY (entry, alertname, environment)
);
CREATE TABLE clearings (
	entry VARCHAR(64) NOT NULL, 
	alertname TEXT NOT NULL, 
	environment TEXT NOT NULL, 
	cleared INTEGER NOT NULL, 
	stayed INTEGER NOT NULL, 
	delay_seconds INTEGER NOT NULL, 
	within_seconds INTEGER NOT NULL, 
	source TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_clearings PRIMARY KEY (entry, alertname, environment)
);
CREATE TABLE budgets_spent (
	name TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_budgets_spent PRIMARY KEY (name)
);
CREATE TABLE memory (
	incident INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT pk_memory PRIMARY KEY (incident)
);
INSERT INTO memory VALUES(1,'Cools cools fixed Fixed every check held for 0s 0s after the run db1 alertname Cools instance db1 9100 n 1 service shop');
PRAGMA writable_schema=ON;
INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','memory_index','memory_index',0,'CREATE VIRTUAL TABLE memory_index using fts5(text, content=''memory'', content_rowid=''incident'')');
CREATE TABLE IF NOT EXISTS 'memory_index_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO memory_index_data VALUES(1,X'0117');
INSERT INTO memory_index_data VALUES(10,X'000000000101010001010101');
INSERT INTO memory_index_data VALUES(137438953473,X'000000ac0330307301040a030101310102160104393130300102140105616674657201020c02086c6572746e616d650102100105636865636b01020702046f6f6c730106020310010364623101040f0601056576657279010206010566697865640104040302026f72010209010468656c640102080108696e7374616e636501021201016e010215010372756e01020e0107736572766963650102170203686f70010218010374686501020d040806090a0d0a0b090a0b07090d06080c08');
CREATE TABLE IF NOT EXISTS 'memory_index_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
INSERT INTO memory_index_idx VALUES(1,X'',2);
CREATE TABLE IF NOT EXISTS 'memory_index_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
INSERT INTO memory_index_docsize VALUES(1,X'17');
CREATE TABLE IF NOT EXISTS 'memory_index_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO memory_index_config VALUES('version',4);
CREATE TABLE IF NOT EXISTS "runs" (
	id VARCHAR(32) NOT NULL, 
	incident INTEGER NOT NULL, 
	purpose VARCHAR(16) NOT NULL, 
	attempt INTEGER NOT NULL, 
	entry VARCHAR(64) NOT NULL, 
	hosts JSON NOT NULL, 
	"plan" VARCHAR(64), 
	worker VARCHAR(64) NOT NULL, 
	artifacts TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	deadline DATETIME NOT NULL, 
	ended_at DATETIME, 
	outcome VARCHAR(24), 
	reason TEXT DEFAULT ('') NOT NULL, 
	stats JSON, 
	results JSON, 
	diff TEXT DEFAULT ('') NOT NULL, 
	diff_hash VARCHAR(64) DEFAULT ('') NOT NULL, 
	fidelity JSON, 
	seen JSON, 
	step INTEGER DEFAULT '1' NOT NULL, loaded JSON, included JSON, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT uq_runs_incident_purpose_attempt_step UNIQUE (incident, purpose, attempt, step)
);
INSERT INTO runs VALUES('fdd78db39465439e8bb525ebd808c5c7',1,'rehearsal',1,'cools','["db1"]','20b1ff5b81969b187ffcfa0035b411fdf058936704c10440d43b7264dc5e30bb','single','/tmp/runner-kept/sqlite/var/artifacts/fdd78db39465439e8bb525ebd808c5c7','2026-11-30 12:41:39.913980','2026-11-30 12:42:39.913980','2026-11-30 12:41:44.484104','changed','1 task changed db1; not shown: mark : Count the run','{"db1": {"ok": 3, "changed": 1, "failures": 0, "dark": 0, "skipped": 1, "ignored": 0, "rescued": 0}}','{"marked": true}',replace('# db1 · mark : Write the text\n--- /tmp/runner-kept/sqlite/marked-db1 (content)\n+++ /tmp/runner-kept/sqlite/marked-db1 (content)\n@@ -0,0 +1 @@\n+shop \n# db1 · mark : Count the run\n(not shown: check mode skipped it)','\n',char(10)),'b46ea58c7f2879d3b1330088feae38b362a6b85598529df7fdb32b525ea2a76e','[{"task": "mark : Write the text", "kind": "shown", "hosts": 1}, {"task": "mark : Count the run", "kind": "skipped", "hosts": 1}]','["db1"]',1,'{"/tmp/runner-kept/sqlite/playbooks/cools/playbook.yml": "cc65a391e6e562de6d83f48a4156ec8e17fbb4963c55da8928258cebc0db88eb", "/tmp/runner-kept/sqlite/roles/mark/tasks/main.yml": "204b817963d6b889659f1e2076d2702a92345fdcc1a3b61aae7bc51eae0f93fd", "/tmp/runner-kept/sqlite/roles/mark/meta/argument_specs.yml": "c7f91498a737ccedfc5f78ba6e07df7c0205f3ca9b7e439a4157d1ad5efc6964"}','[]');
INSERT INTO runs VALUES('7d2b2a0d3aa3407f884e9ef2ae90e519',1,'remediation',1,'cools','["db1"]','a227f66c6b8c6814db706cb3dd9e496b650c2481b75082c0a395efc4c47f92a8','single','/tmp/runner-kept/sqlite/var/artifacts/7d2b2a0d3aa3407f884e9ef2ae90e519','2026-11-30 12:41:44.613521','2026-11-30 12:42:44.613521','2026-11-30 12:41:48.188394','changed','2 tasks changed db1','{"db1": {"ok": 4, "changed": 2, "failures": 0, "dark": 0, "skipped": 0, "ignored": 0, "rescued": 0}}','{"marked": true}',replace('# db1 · mark : Write the text\n--- /tmp/runner-kept/sqlite/marked-db1 (content)\n+++ /tmp/runner-kept/sqlite/marked-db1 (content)\n@@ -0,0 +1 @@\n+shop \n--- /tmp/runner-kept/sqlite/marked-db1 (file attributes)\n+++ /tmp/runner-kept/sqlite/marked-db1 (file attributes)\n@@ -1,3 +1,3 @@\n {\n- "mode": "0644"\n+ "mode": "0600"\n }\n# db1 · mark : Count the run\n(changed; ansible.builtin.raw gives no diff)','\n',char(10)),'a8679561589e835dbc7a9f7e9e3880642db45198572de0637cab566c866ea5a6','[]','["db1"]',1,'{}','[]');
INSERT INTO runs VALUES('72c05c8d5d60481496192b9a9d89d01b',3,'rehearsal',1,'asks','["web1"]','347a62cb916a523c366dff93ea680184d50364fa0b9e292ea71b2919ba5d3215','single','/tmp/runner-kept/sqlite/var/artifacts/72c05c8d5d60481496192b9a9d89d01b','2026-11-30 12:41:50.206853','2026-11-30 12:42:50.206853','2026-11-30 12:41:56.296327','changed','1 task changed web1; not shown: mark : Count the run','{"web1": {"ok": 3, "changed": 1, "failures": 0, "dark": 0, "skipped": 1, "ignored": 0, "rescued": 0}}','{"marked": true}',replace('# web1 · mark : Write the text\n--- /tmp/runner-kept/sqlite/marked-web1 (content)\n+++ /tmp/runner-kept/sqlite/marked-web1 (content)\n@@ -0,0 +1 @@\n+shop \n# web1 · mark : Count the run\n(not shown: check mode skipped it)','\n',char(10)),'ffe0ad14d7e70cc3e283313d7f3358608a2944ba0fe44b2e2e56dc5ff315e84e','[{"task": "mark : Write the text", "kind": "shown", "hosts": 1}, {"task": "mark : Count the run", "kind": "skipped", "hosts": 1}]','["web1"]',1,'{"/tmp/runner-kept/sqlite/playbooks/asks/playbook.yml": "cc65a391e6e562de6d83f48a4156ec8e17fbb4963c55da8928258cebc0db88eb", "/tmp/runner-kept/sqlite/roles/mark/tasks/main.yml": "204b817963d6b889659f1e2076d2702a92345fdcc1a3b61aae7bc51eae0f93fd", "/tmp/runner-kept/sqlite/roles/mark/meta/argument_specs.yml": "c7f91498a737ccedfc5f78ba6e07df7c0205f3ca9b7e439a4157d1ad5efc6964"}','[]');
INSERT INTO runs VALUES('d80a9ea619614726911a26c3f77fca28',4,'remediation',1,'runs','["web2"]','26950eaedea8e2edd8a0167352a570240911515b8a606ff2d2d1f022dcc8e4bd','single','/tmp/runner-kept/sqlite/var/artifacts','2026-11-30 12:41:57.480376','2026-11-30 12:43:57.480376',NULL,NULL,'',NULL,NULL,'','',NULL,NULL,1,NULL,NULL);
CREATE TABLE predictions (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	node VARCHAR(255) NOT NULL, 
	"by" VARCHAR(16) NOT NULL, 
	tier VARCHAR(16) NOT NULL, 
	expected FLOAT, 
	soonest FLOAT, 
	latest FLOAT, 
	reasons JSON NOT NULL, 
	findings JSON NOT NULL, 
	outcome VARCHAR(16), 
	CONSTRAINT pk_predictions PRIMARY KEY (id)
);
CREATE TABLE greylist (
	node VARCHAR(255) NOT NULL, 
	tier VARCHAR(16) NOT NULL, 
	joined_at DATETIME, 
	since DATETIME, 
	looked_at DATETIME, 
	above_warning FLOAT, 
	above_critical FLOAT, 
	below_warning FLOAT, 
	below_critical FLOAT, 
	why TEXT DEFAULT '' NOT NULL, 
	reminded_at DATETIME, 
	settled_at DATETIME, 
	settled_by TEXT, 
	CONSTRAINT pk_greylist PRIMARY KEY (node)
);
CREATE TABLE rounds (
	name VARCHAR(32) NOT NULL, 
	due_at DATETIME NOT NULL, 
	note TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_rounds PRIMARY KEY (name)
);
CREATE TABLE IF NOT EXISTS "approvals" (
	id INTEGER NOT NULL, 
	incident INTEGER NOT NULL, 
	"plan" VARCHAR(64) NOT NULL, 
	requested_by TEXT NOT NULL, 
	requested_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	answer VARCHAR(16), 
	answered_by TEXT, 
	answered_at DATETIME, 
	comment TEXT DEFAULT ('') NOT NULL, 
	brief JSON, 
	asked INTEGER DEFAULT '1' NOT NULL, 
	shown JSON, 
	CONSTRAINT pk_approvals PRIMARY KEY (id), 
	CONSTRAINT uq_approvals_incident_plan_asked UNIQUE (incident, "plan", asked)
);
INSERT INTO approvals VALUES(1,3,'0069a1c4e72f6f41ec311a324cd288b0b31ce889436b3319fa80f120caa3f8c2','runner','2026-11-30 12:41:56.346114','2126-11-06 12:41:56.346114',NULL,NULL,NULL,'','{"title": "Mark a host", "description": "Appends a line to a file.", "risk": "low", "rehearsal": "required", "undo": null, "undo_title": "", "approvers": [], "record": {"fixed": 0, "not_fixed": 0, "unknown": 0, "last": [], "uplift": null}}',1,'["entry"]');
CREATE TABLE dead_letters (
	id INTEGER NOT NULL, 
	received_at DATETIME NOT NULL, 
	last_at DATETIME NOT NULL, 
	times INTEGER DEFAULT '1' NOT NULL, 
	source VARCHAR(16) NOT NULL, 
	sender TEXT DEFAULT '' NOT NULL, 
	ceiling VARCHAR(16) NOT NULL, 
	delivery INTEGER, 
	position INTEGER, 
	reason TEXT NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	size INTEGER NOT NULL, 
	body BLOB NOT NULL, 
	replayed_at DATETIME, 
	replayed_by TEXT, 
	replayed_as INTEGER, 
	CONSTRAINT pk_dead_letters PRIMARY KEY (id)
);
CREATE TABLE firings (
	fingerprint VARCHAR(64) NOT NULL, 
	fires BOOLEAN DEFAULT false NOT NULL, 
	told JSON NOT NULL, 
	ended JSON NOT NULL, 
	quiet_at DATETIME, 
	heard_at DATETIME, 
	listed_at DATETIME, 
	pause_seconds FLOAT DEFAULT '0' NOT NULL, 
	gone BOOLEAN DEFAULT false NOT NULL, 
	looks INTEGER DEFAULT '0' NOT NULL, 
	again_at DATETIME, 
	changed_at DATETIME NOT NULL, 
	CONSTRAINT pk_firings PRIMARY KEY (fingerprint)
);
INSERT INTO firings VALUES('2f1fbb7206e05c98',1,'{"2026-11-30T12:41:31.963000+00:00": "2026-11-30T12:41:31.963000+00:00"}','[]',NULL,'2026-11-30 12:41:31.963678',NULL,0.0,0,0,NULL,'2026-11-30 12:41:31.963678');
INSERT INTO firings VALUES('6f95898c6a20a459',1,'{"2026-11-30T12:41:48.474000+00:00": "2026-11-30T12:41:48.474000+00:00"}','[]',NULL,'2026-11-30 12:41:48.474429',NULL,0.0,0,0,NULL,'2026-11-30 12:41:48.474429');
INSERT INTO firings VALUES('b5e97828aacb66c7',1,'{"2026-11-30T12:41:49.306000+00:00": "2026-11-30T12:41:49.306000+00:00"}','[]',NULL,'2026-11-30 12:41:49.306687',NULL,0.0,0,0,NULL,'2026-11-30 12:41:49.306687');
INSERT INTO firings VALUES('607f99cdd4ce7064',1,'{"2026-11-30T12:41:56.434000+00:00": "2026-11-30T12:41:56.434000+00:00"}','[]',NULL,'2026-11-30 12:41:56.434998',NULL,0.0,0,0,NULL,'2026-11-30 12:41:56.434998');
CREATE TABLE storms (
	receiver TEXT NOT NULL, 
	began_at DATETIME NOT NULL, 
	told_at DATETIME NOT NULL, 
	CONSTRAINT pk_storms PRIMARY KEY (receiver)
);
CREATE TABLE waiting (
	number INTEGER NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	workflow VARCHAR(16) NOT NULL, 
	incident INTEGER NOT NULL, 
	round INTEGER, 
	place TEXT NOT NULL, 
	urgency INTEGER NOT NULL, 
	stage INTEGER NOT NULL, 
	ready_at DATETIME NOT NULL, 
	worker VARCHAR(64), 
	begun_at DATETIME, 
	CONSTRAINT pk_waiting PRIMARY KEY (number), 
	CONSTRAINT uq_waiting_key UNIQUE ("key")
);
INSERT INTO waiting VALUES(1,'incident-4-remediate','remediate',4,NULL,'web2',0,2,'2026-11-30 12:41:56.875340','single','2026-11-30 12:41:56.903514');
CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO dbos_migrations VALUES(125);
CREATE TABLE workflow_status (
    workflow_uuid TEXT PRIMARY KEY,
    status TEXT,
    name TEXT,
    authenticated_user TEXT,
    assumed_role TEXT,
    authenticated_roles TEXT,
    request TEXT,
    output TEXT,
    error TEXT,
    executor_id TEXT,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    application_version TEXT,
    application_id TEXT,
    class_name TEXT DEFAULT NULL,
    config_name TEXT DEFAULT NULL,
    recovery_attempts INTEGER DEFAULT 0,
    queue_name TEXT,
    workflow_timeout_ms INTEGER,
    workflow_deadline_epoch_ms INTEGER,
    inputs TEXT,
    started_at_epoch_ms INTEGER,
    deduplication_id TEXT,
    priority INTEGER NOT NULL DEFAULT 0
, queue_partition_key TEXT, forked_from TEXT, "owner_xid" TEXT DEFAULT NULL, "parent_workflow_id" TEXT DEFAULT NULL, "serialization" TEXT DEFAULT NULL, "delay_until_epoch_ms" BIGINT DEFAULT NULL, "was_forked_from" BOOLEAN NOT NULL DEFAULT FALSE, "rate_limited" BOOLEAN NOT NULL DEFAULT FALSE, "completed_at" BIGINT, "attributes" TEXT, "schedule_name" TEXT, "debounce_deadline_epoch_ms" BIGINT DEFAULT NULL, "is_debounced" BOOLEAN NOT NULL DEFAULT FALSE, "application_name" TEXT DEFAULT NULL, "creator_xid" TEXT DEFAULT NULL);
INSERT INTO workflow_status VALUES('incident-1-remediate','SUCCESS','remediate',NULL,NULL,NULL,NULL,NULL,NULL,'single',1796042496000,1796042508000,'2',NULL,NULL,NULL,1,'incidents',NULL,NULL,NULL,1796042497000,NULL,0,NULL,NULL,NULL,NULL,'py_pickle',NULL,0,0,1796042508000,'null',NULL,NULL,0,'runner','7bdf16c3-ba5f-4772-9b0f-acaf25281eb5');
INSERT INTO workflow_status VALUES('incident-2-remediate','SUCCESS','remediate',NULL,NULL,NULL,NULL,NULL,NULL,'single',1796042508000,1796042509000,'2',NULL,NULL,NULL,1,'incidents',NULL,NULL,NULL,1796042509000,NULL,0,NULL,NULL,NULL,NULL,'py_pickle',NULL,0,0,1796042509000,'null',NULL,NULL,0,'runner','59fb27e3-a15b-4442-a4b2-2d4406b73a85');
INSERT INTO workflow_status VALUES('incident-3-remediate','SUCCESS','remediate',NULL,NULL,NULL,NULL,NULL,NULL,'single',1796042509000,1796042516000,'2',NULL,NULL,NULL,1,'incidents',NULL,NULL,NULL,1796042510000,NULL,0,NULL,NULL,NULL,NULL,'py_pickle',NULL,0,0,1796042516000,'null',NULL,NULL,0,'runner','277422cb-e28b-4346-a26f-5a29c8344825');
INSERT INTO workflow_status VALUES('incident-4-remediate','PENDING','remediate',NULL,NULL,NULL,NULL,NULL,NULL,'single',1796042516000,1796042517000,'2',NULL,NULL,NULL,1,'incidents',NULL,NULL,NULL,1796042517000,NULL,0,NULL,NULL,'6cc76fba-a3e4-43a4-8968-e9a81d89b2f5',NULL,'py_pickle',NULL,0,0,NULL,'null',NULL,NULL,0,'runner','6f2ff50d-4b16-481e-b373-1aa1d999049a');
CREATE TABLE notifications (
    message_uuid TEXT NOT NULL DEFAULT (hex(randomblob(16))) PRIMARY KEY,
    destination_uuid TEXT NOT NULL,
    topic TEXT,
    message TEXT NOT NULL,
    created_at_epoch_ms INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000), "serialization" TEXT DEFAULT NULL, "consumed" BOOLEAN NOT NULL DEFAULT FALSE, consumed_by_function_id INTEGER,
    FOREIGN KEY (destination_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE streams (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    "offset" INTEGER NOT NULL, function_id INTEGER NOT NULL DEFAULT 0, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key, "offset"),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events_history (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, function_id, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_schedules (
    schedule_id TEXT PRIMARY KEY,
    schedule_name TEXT NOT NULL UNIQUE,
    workflow_name TEXT NOT NULL,
    workflow_class_name TEXT,
    schedule TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    context TEXT NOT NULL
, "last_fired_at" TEXT DEFAULT NULL, "automatic_backfill" BOOLEAN NOT NULL DEFAULT FALSE, "cron_timezone" TEXT DEFAULT NULL, "queue_name" TEXT DEFAULT NULL, "application_name" TEXT DEFAULT NULL);
CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    version_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL);
INSERT INTO application_versions VALUES('eda20214-75a0-4227-bbd3-ff585ea34f4a','2',1796042496000,1796042496000,'runner');
CREATE TABLE queues (
    queue_id TEXT PRIMARY KEY DEFAULT (hex(randomblob(16))),
    name TEXT NOT NULL UNIQUE,
    concurrency INTEGER,
    worker_concurrency INTEGER,
    rate_limit_max INTEGER,
    rate_limit_period_sec REAL,
    priority_enabled BOOLEAN NOT NULL DEFAULT FALSE,
    partition_queue BOOLEAN NOT NULL DEFAULT FALSE,
    polling_interval_sec REAL NOT NULL DEFAULT 1.0,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL, "partition_concurrency" INTEGER DEFAULT NULL, "partition_worker_concurrency" INTEGER DEFAULT NULL, "partition_rate_limit_max" INTEGER DEFAULT NULL, "partition_rate_limit_period_sec" REAL DEFAULT NULL);
INSERT INTO queues VALUES('96CA2656BE6F0F6F611FB5AFC3935E94','incidents',NULL,256,NULL,NULL,1,0,0.29999999999999998889,1796042496000,1796042496513,'runner',NULL,NULL,NULL,NULL);
CREATE TABLE workflow_input (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    inputs TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO workflow_input VALUES('incident-1-remediate','gASVGwAAAAAAAAB9lCiMBGFyZ3OUSwGFlIwGa3dhcmdzlH2UdS4=',1796042496000);
INSERT INTO workflow_input VALUES('incident-2-remediate','gASVGwAAAAAAAAB9lCiMBGFyZ3OUSwKFlIwGa3dhcmdzlH2UdS4=',1796042508000);
INSERT INTO workflow_input VALUES('incident-3-remediate','gASVGwAAAAAAAAB9lCiMBGFyZ3OUSwOFlIwGa3dhcmdzlH2UdS4=',1796042509000);
INSERT INTO workflow_input VALUES('incident-4-remediate','gASVGwAAAAAAAAB9lCiMBGFyZ3OUSwSFlIwGa3dhcmdzlH2UdS4=',1796042516000);
CREATE TABLE workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO workflow_output VALUES('incident-1-remediate','gAROLg==',NULL,1796042508000);
INSERT INTO workflow_output VALUES('incident-2-remediate','gAROLg==',NULL,1796042509000);
INSERT INTO workflow_output VALUES('incident-3-remediate','gAROLg==',NULL,1796042516000);
CREATE TABLE IF NOT EXISTS "operation_outputs" (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    function_name TEXT NOT NULL DEFAULT '',
    output TEXT,
    error TEXT,
    child_workflow_id TEXT,
    started_at_epoch_ms INTEGER,
    completed_at_epoch_ms INTEGER,
    serialization TEXT,
    application_name TEXT DEFAULT NULL,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    PRIMARY KEY (workflow_uuid, function_id)
);
INSERT INTO operation_outputs VALUES('incident-1-remediate',1,'admit','gASILg==',NULL,NULL,1796042497851,1796042497889,'py_pickle','runner',1796042497000);
INSERT INTO operation_outputs VALUES('incident-1-remediate',2,'locate','gASILg==',NULL,NULL,1796042497921,1796042497969,'py_pickle','runner',1796042497000);
INSERT INTO operation_outputs VALUES('incident-1-remediate',3,'gather','gASILg==',NULL,NULL,1796042497978,1796042498050,'py_pickle','runner',1796042498000);
INSERT INTO operation_outputs VALUES('incident-1-remediate',4,'decide','gASILg==',NULL,NULL,1796042498061,1796042498090,'py_pickle','runner',1796042498000);
INSERT INTO operation_outputs VALUES('incident-1-remediate',5,'judge','gASILg==',NULL,NULL,1796042498096,1796042498164,'py_pickle','runner',1796042498000);
INSERT INTO operation_outputs VALUES('incident-1-remediate',6,'rehearse','gASILg==',NULL,NULL,1796042498172,1796042504528,'py_pickle','runner',1796042504000);
INSERT INTO operation_outputs VALUES('incident-1-remediate',7,'ask','gASILg==',NULL,NULL,1796042504532,1796042504544,'py_pickle','runner',1796042504000);
INSERT INTO operation_outputs VALUES('incident-1-remediate',8,'carry_out','gASILg==',NULL,NULL,1796042504557,1796042508224,'py_pickle','runner',1796042508000);
INSERT INTO operation_outputs VALUES('incident-1-remediate',9,'confirm','gASVBwAAAAAAAACMA2VuZJQu',NULL,NULL,1796042508248,1796042508284,'py_pickle','runner',1796042508000);
INSERT INTO operation_outputs VALUES('incident-2-remediate',1,'admit','gASILg==',NULL,NULL,1796042509113,1796042509117,'py_pickle','runner',1796042509000);
INSERT INTO operation_outputs VALUES('incident-2-remediate',2,'locate','gASILg==',NULL,NULL,1796042509125,1796042509144,'py_pickle','runner',1796042509000);
INSERT INTO operation_outputs VALUES('incident-2-remediate',3,'gather','gASILg==',NULL,NULL,1796042509156,1796042509176,'py_pickle','runner',1796042509000);
INSERT INTO operation_outputs VALUES('incident-2-remediate',4,'decide','gASILg==',NULL,NULL,1796042509182,1796042509199,'py_pickle','runner',1796042509000);
INSERT INTO operation_outputs VALUES('incident-2-remediate',5,'judge','gASJLg==',NULL,NULL,1796042509208,1796042509240,'py_pickle','runner',1796042509000);
INSERT INTO operation_outputs VALUES('incident-3-remediate',1,'admit','gASILg==',NULL,NULL,1796042510058,1796042510065,'py_pickle','runner',1796042510000);
INSERT INTO operation_outputs VALUES('incident-3-remediate',2,'locate','gASILg==',NULL,NULL,1796042510079,1796042510094,'py_pickle','runner',1796042510000);
INSERT INTO operation_outputs VALUES('incident-3-remediate',3,'gather','gASILg==',NULL,NULL,1796042510104,1796042510129,'py_pickle','runner',1796042510000);
INSERT INTO operation_outputs VALUES('incident-3-remediate',4,'decide','gASILg==',NULL,NULL,1796042510139,1796042510152,'py_pickle','runner',1796042510000);
INSERT INTO operation_outputs VALUES('incident-3-remediate',5,'judge','gASILg==',NULL,NULL,1796042510163,1796042510190,'py_pickle','runner',1796042510000);
INSERT INTO operation_outputs VALUES('incident-3-remediate',6,'rehearse','gASILg==',NULL,NULL,1796042510194,1796042516333,'py_pickle','runner',1796042516000);
INSERT INTO operation_outputs VALUES('incident-3-remediate',7,'ask','gASJLg==',NULL,NULL,1796042516342,1796042516368,'py_pickle','runner',1796042516000);
INSERT INTO operation_outputs VALUES('incident-4-remediate',1,'admit','gASILg==',NULL,NULL,1796042517226,1796042517235,'py_pickle','runner',1796042517000);
INSERT INTO operation_outputs VALUES('incident-4-remediate',2,'locate','gASILg==',NULL,NULL,1796042517241,1796042517290,'py_pickle','runner',1796042517000);
INSERT INTO operation_outputs VALUES('incident-4-remediate',3,'gather','gASILg==',NULL,NULL,1796042517296,1796042517321,'py_pickle','runner',1796042517000);
INSERT INTO operation_outputs VALUES('incident-4-remediate',4,'decide','gASILg==',NULL,NULL,1796042517324,1796042517336,'py_pickle','runner',1796042517000);
INSERT INTO operation_outputs VALUES('incident-4-remediate',5,'judge','gASILg==',NULL,NULL,1796042517339,1796042517357,'py_pickle','runner',1796042517000);
INSERT INTO operation_outputs VALUES('incident-4-remediate',6,'rehearse','gASILg==',NULL,NULL,1796042517361,1796042517402,'py_pickle','runner',1796042517000);
INSERT INTO operation_outputs VALUES('incident-4-remediate',7,'ask','gASILg==',NULL,NULL,1796042517406,1796042517418,'py_pickle','runner',1796042517000);
CREATE INDEX ix_deliveries_open ON deliveries (id) WHERE not done;
CREATE INDEX ix_incidents_alertname ON incidents (alertname);
CREATE INDEX ix_incidents_joined ON incidents (joined);
CREATE INDEX ix_incidents_state ON incidents (state);
CREATE INDEX ix_incidents_updated_at ON incidents (updated_at);
CREATE INDEX ix_notifications_due_at ON outbox (due_at);
CREATE INDEX ix_transitions_incident ON transitions (incident);
CREATE INDEX ix_verifications_incident ON verifications (incident);
CREATE INDEX ix_host_locks_run ON host_locks (run);
CREATE INDEX ix_model_calls_incident ON model_calls (incident);
CREATE INDEX ix_model_calls_at ON model_calls (at);
CREATE INDEX ix_model_calls_question ON model_calls (question);
CREATE INDEX ix_feedback_incident ON feedback (incident);
CREATE INDEX ix_autonomy_settings_entry ON autonomy_settings (entry);
CREATE TRIGGER memory_added after insert on memory begin
         insert into memory_index (rowid, text) values (new.incident, new.text);
       end;
CREATE TRIGGER memory_removed after delete on memory begin
         insert into memory_index (memory_index, rowid, text)
         values ('delete', old.incident, old.text);
       end;
CREATE TRIGGER memory_changed after update on memory begin
         insert into memory_index (memory_index, rowid, text)
         values ('delete', old.incident, old.text);
         insert into memory_index (rowid, text) values (new.incident, new.text);
       end;
CREATE INDEX ix_runs_entry ON runs (entry);
CREATE INDEX ix_runs_started_at ON runs (started_at);
CREATE INDEX ix_predictions_node_at ON predictions (node, at);
CREATE INDEX ix_predictions_at ON predictions (at);
CREATE INDEX ix_incidents_held_until ON incidents (held_until);
CREATE INDEX ix_dead_letters_hash ON dead_letters (hash);
CREATE INDEX ix_firings_again_at ON firings (again_at);
CREATE INDEX ix_firings_changed_at ON firings (changed_at);
CREATE INDEX ix_waiting_turn ON waiting (worker, place, urgency, stage, number);
CREATE INDEX workflow_status_created_at_index ON workflow_status (created_at);
CREATE INDEX idx_workflow_topic ON notifications (destination_uuid, topic);
CREATE INDEX "idx_workflow_status_delayed" ON "workflow_status" ("delay_until_epoch_ms") WHERE status = 'DELAYED';
CREATE INDEX "idx_workflow_status_forked_from" ON "workflow_status" ("forked_from") WHERE "forked_from" IS NOT NULL;
CREATE INDEX "idx_workflow_status_parent_workflow_id" ON "workflow_status" ("parent_workflow_id") WHERE "parent_workflow_id" IS NOT NULL;
CREATE UNIQUE INDEX "uq_workflow_status_dedup_id" ON "workflow_status" ("queue_name", "deduplication_id") WHERE "deduplication_id" IS NOT NULL;
CREATE INDEX "idx_workflow_status_pending" ON "workflow_status" ("created_at") WHERE "status" = 'PENDING';
CREATE INDEX "idx_workflow_status_failed" ON "workflow_status" ("status", "created_at") WHERE "status" IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');
CREATE INDEX "idx_workflow_status_rate_limited" ON "workflow_status" ("queue_name", "started_at_epoch_ms") WHERE "rate_limited" = TRUE;
CREATE INDEX "idx_workflow_status_completed_at" ON "workflow_status" ("completed_at") WHERE "completed_at" IS NOT NULL;
CREATE INDEX "idx_workflow_status_started_at" ON "workflow_status" ("started_at_epoch_ms") WHERE "started_at_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_workflow_status_schedule_name" ON "workflow_status" ("schedule_name") WHERE "schedule_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_owner_version"
    ON application_versions ("application_name", "version_name")
    WHERE "application_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_unclaimed_version"
    ON application_versions ("version_name")
    WHERE "application_name" IS NULL;
CREATE INDEX idx_workflow_input_retention
    ON workflow_input (retention_timestamp);
CREATE INDEX idx_workflow_output_retention
    ON workflow_output (retention_timestamp);
CREATE INDEX idx_operation_outputs_retention
    ON operation_outputs (retention_timestamp);
CREATE INDEX "idx_workflow_status_in_flight_v2" ON "workflow_status" ("queue_name", "status", "priority", "created_at", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING');
CREATE INDEX "idx_workflow_status_partition_dequeue_v3" ON "workflow_status" ("queue_name", "status", "queue_partition_key", "priority", "created_at", "workflow_uuid", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING') AND "queue_partition_key" IS NOT NULL;
CREATE INDEX "idx_operation_outputs_completed_at_function_name_v2" ON "operation_outputs" ("completed_at_epoch_ms", "function_name", "application_name");
CREATE INDEX "idx_workflow_status_deadline" ON "workflow_status" ("workflow_deadline_epoch_ms") WHERE "status" IN ('ENQUEUED', 'PENDING', 'DELAYED') AND "workflow_deadline_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_application_versions_timestamp" ON "application_versions" ("version_timestamp" DESC);
CREATE INDEX "idx_application_versions_owner_timestamp" ON "application_versions" ("application_name", "version_timestamp" DESC);
PRAGMA writable_schema=OFF;
COMMIT;
