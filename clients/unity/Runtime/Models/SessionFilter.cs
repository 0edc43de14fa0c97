using System.Collections.Generic;

namespace GameApi
{
    /// <summary>Which sessions a list shows. What is not set does not filter.</summary>
    public sealed class SessionFilter
    {
        /// <summary>Sessions with one of these statuses. Without any, sessions that are live.</summary>
        public IList<SessionStatus> Statuses { get; } = new List<SessionStatus>();

        /// <summary>Sessions of this game mode.</summary>
        public string GameMode { get; set; }

        /// <summary>Sessions of this region.</summary>
        public string Region { get; set; }

        /// <summary>Sessions with at least so many free seats.</summary>
        public int? MinFreeSlots { get; set; }

        /// <summary>Sessions of this host.</summary>
        public string HostPlayerId { get; set; }

        /// <summary>True for sessions that a player could join now.</summary>
        public bool? Joinable { get; set; }

        /// <summary>Sessions that have all of these attributes.</summary>
        public Attributes Attributes { get; } = new Attributes();

        internal void AddTo(Query query)
        {
            foreach (SessionStatus status in Statuses)
            {
                query.Add("status", status.Value);
            }
            query.Add("game_mode", GameMode);
            query.Add("region", Region);
            query.Add("min_free_slots", MinFreeSlots);
            query.Add("host_player_id", HostPlayerId);
            query.Add("joinable", Joinable);
            foreach (KeyValuePair<string, AttributeValue> attribute in Attributes)
            {
                query.Add("attribute", attribute.Key + ":" + attribute.Value);
            }
        }
    }
}
