import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Transactions.java BOOTSTRAP ROUNDS RECORDS WARM: prints records a second, flushed after so many, then committed after so many. */
class Transactions {
    interface Rounds { void play(int count); }

    static double perSecond(Rounds rounds, int warm, int count, int records) {
        rounds.play(warm);
        long began = System.nanoTime();
        rounds.play(count);
        return count * records * 1e9 / (System.nanoTime() - began);
    }

    public static void main(String[] args) {
        int count = Integer.parseInt(args[1]), records = Integer.parseInt(args[2]), warm = Integer.parseInt(args[3]);
        var record = new ProducerRecord<byte[], byte[]>("records", new byte[200]);
        var bytes = new ByteArraySerializer();
        Map<String, Object> plain = Map.of("bootstrap.servers", args[0], "enable.idempotence", true);
        try (var producer = new KafkaProducer<>(plain, bytes, bytes)) {
            double rate = perSecond(rounds -> {
                for (int round = 0; round < rounds; round++) {
                    for (int one = 0; one < records; one++) producer.send(record);
                    producer.flush();
                }
            }, warm, count, records);
            System.out.println(rate);
        }
        Map<String, Object> inside = Map.of("bootstrap.servers", args[0], "transactional.id", "java");
        try (var producer = new KafkaProducer<>(inside, bytes, bytes)) {
            producer.initTransactions();
            double rate = perSecond(rounds -> {
                for (int round = 0; round < rounds; round++) {
                    producer.beginTransaction();
                    for (int one = 0; one < records; one++) producer.send(record);
                    producer.commitTransaction();
                }
            }, warm, count, records);
            System.out.println(rate);
        }
    }
}
