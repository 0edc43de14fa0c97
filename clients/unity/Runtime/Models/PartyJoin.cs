using System.Collections.Generic;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>Players who join together, all or none.</summary>
    public sealed class PartyJoin
    {
        /// <summary>A party of these players.</summary>
        public PartyJoin(params string[] playerIds)
        {
            PlayerIds = new List<string>(playerIds);
        }

        /// <summary>The ids of the players, 1 to 64 without repeats.</summary>
        public IList<string> PlayerIds { get; }

        internal JObject ToJson()
        {
            var playerIds = new JArray();
            foreach (string playerId in PlayerIds)
            {
                playerIds.Add(playerId);
            }
            return new JObject { ["player_ids"] = playerIds };
        }
    }
}
