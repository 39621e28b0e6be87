// kafkajs, with the codecs that its documentation names; those that are built from C are replaced by prebuilt ones.
'use strict'
const readline = require('readline')
const LZ4 = require('@2l/kafkajs-lz4')
const Snappy = require('kafkajs-snappy')
const zstd = require('@bokuweb/zstd-wasm')
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs')

const TIMEOUT_MS = 30_000
CompressionCodecs[CompressionTypes.Snappy] = Snappy
CompressionCodecs[CompressionTypes.LZ4] = new LZ4().codec
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
})
const CODECS = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }

const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.ERROR, retry: { initialRetryTime: 50 } })
const tell = (line) => process.stdout.write(JSON.stringify(line) + '\n')
const encoded = (data) => (data === null || data === undefined ? null : Buffer.from(data).toString('base64'))
const decoded = (text) => (text === null ? null : Buffer.from(text, 'base64'))

const lines = []
let wake = null
const nextLine = () => (lines.length ? Promise.resolve(lines.shift()) : new Promise((resolve) => (wake = resolve)))

// -- records

function message({ partition, timestamp, key, value, headers }) {
  const all = {}
  for (const [name, data] of headers) {
    all[name] = name in all ? [].concat(all[name], decoded(data)) : decoded(data)
  }
  return { partition, timestamp: timestamp === null ? undefined : String(timestamp), key: decoded(key), value: decoded(value), headers: all }
}

function record(partition, { offset, timestamp, key, value, headers }) {
  const pairs = []
  for (const [name, data] of Object.entries(headers || {})) {
    for (const one of Array.isArray(data) ? data : [data]) pairs.push([name, encoded(one)])
  }
  return { partition, offset: Number(offset), timestamp: Number(timestamp), key: encoded(key), value: encoded(value), headers: pairs }
}

// It has no consumer without a group: each reading is a group of its own.
async function consume(topics, { group, since, committed, onBatch, ...config }) {
  const groupId = group || `kafkajs-${process.pid}-${Date.now()}`
  const consumer = kafka.consumer({ groupId, readUncommitted: !committed, maxWaitTimeInMs: 100, ...config })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: !since })
  return { consumer, run: () => consumer.run({ autoCommit: false, eachBatch: (payload) => onBatch(payload, consumer) }) }
}

async function until(wanted, config, onRecords) {
  const left = new Map()
  for (const [topic, parts] of Object.entries(wanted)) {
    for (const [p, last] of Object.entries(parts)) left.set(`${topic} ${p}`, last)
  }
  let finish, fail
  const done = new Promise((resolve, reject) => ([finish, fail] = [resolve, reject]))
  const onBatch = async ({ batch }) => {
    await onRecords(batch.topic, batch.partition, batch.messages).catch(fail)
    const place = `${batch.topic} ${batch.partition}`
    if (left.has(place) && Number(batch.messages.at(-1)?.offset ?? -1) >= left.get(place)) left.delete(place)
    if (!left.size) finish()
  }
  const { consumer, run } = await consume(Object.keys(wanted), { ...config, onBatch })
  const timer = setTimeout(() => fail(new Error(`not at their end: ${JSON.stringify([...left])}`)), TIMEOUT_MS)
  await run()
  try {
    await done
  } finally {
    clearTimeout(timer)
    await consumer.disconnect()
  }
}

async function producing(config, work) {
  const producer = kafka.producer({ maxInFlightRequests: 1, ...config })
  await producer.connect()
  try {
    return await work(producer)
  } finally {
    await producer.disconnect()
  }
}

async function administering(work) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

const tasks = {
  hello: async () => ({ version: require('kafkajs/package.json').version }),

  produce: async ({ topic, codec, idempotent, records }) =>
    producing({ idempotent }, async (producer) => {
      await producer.send({ topic, acks: -1, compression: CODECS[codec], messages: records.map(message) })
      return { offsets: null }
    }),

  read: async ({ topics, committed }) => {
    const records = Object.fromEntries(Object.keys(topics).map((topic) => [topic, []]))
    await until(topics, { committed }, async (topic, partition, messages) => {
      for (const m of messages) records[topic].push(record(partition, m))
    })
    return { records }
  },

  commit: async ({ group, topic, offsets, metadata }) =>
    administering((admin) => {
      const partitions = Object.entries(offsets).map(([p, offset]) => ({ partition: Number(p), offset: String(offset), metadata }))
      return admin.setOffsets({ groupId: group, topic, partitions })
    }),

  committed: async ({ group, topic }) =>
    administering(async (admin) => {
      const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
      return { offsets: Object.fromEntries(partitions.map((p) => [p.partition, Number(p.offset)])) }
    }),

  since: async ({ topic, partition, timestamp }) => {
    const all = await administering((admin) => admin.fetchTopicOffsetsByTimestamp(topic, timestamp))
    const { offset } = all.find((p) => p.partition === partition)
    let found
    const first = new Promise((resolve) => (found = resolve))
    const onBatch = async ({ batch }) => {
      if (batch.partition === partition && batch.messages.length) found(record(partition, batch.messages[0]))
    }
    const { consumer, run } = await consume([topic], { since: true, onBatch })
    await run()
    consumer.seek({ topic, partition, offset })
    const result = { record: await first }
    await consumer.disconnect()
    return result
  },

  member: async ({ topic, group }) => {
    const onBatch = async ({ batch }, consumer) => {
      const { partition, messages } = batch
      await consumer.commitOffsets([{ topic, partition, offset: String(Number(messages.at(-1).offset) + 1) }])
      tell({ records: messages.map((m) => [partition, Number(m.offset)]) })
    }
    const timing = { sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 10_000 }
    const { consumer, run } = await consume([topic], { group, onBatch, ...timing })
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => tell({ assigned: payload.memberAssignment[topic] || [] }))
    await run()
    await nextLine()
    await consumer.disconnect()
  },

  // -- transactions

  transact: async ({ topic, id, rounds }) =>
    producing({ transactionalId: id, idempotent: true }, async (producer) => {
      for (const { records, commit } of rounds) {
        const transaction = await producer.transaction()
        await transaction.send({ topic, messages: records.map(message) })
        await (commit ? transaction.commit() : transaction.abort())
      }
    }),

  copy: async ({ id, group, input, output, until: last }) =>
    producing({ transactionalId: id, idempotent: true }, (producer) =>
      until({ [input]: last }, { group, committed: true }, async (topic, partition, messages) => {
        const transaction = await producer.transaction()
        const copies = messages.map(({ timestamp, key, value, headers }) => ({ partition, timestamp, key, value, headers }))
        await transaction.send({ topic: output, messages: copies })
        const next = String(Number(messages.at(-1).offset) + 1)
        const topics = [{ topic: input, partitions: [{ partition, offset: next }] }]
        await transaction.sendOffsets({ consumerGroupId: group, topics })
        await transaction.commit()
      }),
    ),

  fence: async ({ topic, id }) => {
    const config = { transactionalId: id, idempotent: true }
    return producing(config, async (older) => {
      const first = await older.transaction()
      await first.send({ topic, messages: [{ value: 'older' }] })
      return producing(config, async (newer) => {
        const second = await newer.transaction()
        const refused = await first.commit().then(
          () => null,
          (error) => error.type || error.name,
        )
        await second.send({ topic, messages: [{ value: 'newer' }] })
        await second.commit()
        return { refused }
      })
    })
  },

  // -- admin

  create: async ({ topic, partitions, configs }) =>
    administering(async (admin) => {
      const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
      await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }] })
    }),

  configs: async ({ topic }) =>
    administering(async (admin) => {
      const asked = { includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }] }
      const [{ configEntries }] = (await admin.describeConfigs(asked)).resources
      return { configs: Object.fromEntries(configEntries.map((e) => [e.configName, e.configValue])) }
    }),

  groups: async () =>
    administering(async (admin) => ({ groups: (await admin.listGroups()).groups.map((g) => g.groupId) })),

  group: async ({ group }) =>
    administering(async (admin) => {
      const [found] = (await admin.describeGroups([group])).groups
      return { state: found.state, members: found.members.length }
    }),

  delete_records: async ({ topic, partition, offset }) =>
    administering(async (admin) => {
      await admin.fetchTopicOffsets(topic) // loads the metadata, without which the next call refuses
      await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
      const all = await admin.fetchTopicOffsets(topic)
      return { low: Number(all.find((p) => p.partition === partition).low) }
    }),

  delete: async ({ topic }) => administering((admin) => admin.deleteTopics({ topics: [topic] })),
}

async function main() {
  await zstd.init()
  readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const waiting = wake
    wake = null
    if (waiting) waiting(line)
    else lines.push(line)
  }).on('close', () => process.exit(0))
  for (;;) {
    const task = JSON.parse(await nextLine())
    try {
      tell({ done: (await tasks[task.do](task)) || {} })
    } catch (error) {
      tell({ failed: error.stack || String(error) })
    }
  }
}

main()
